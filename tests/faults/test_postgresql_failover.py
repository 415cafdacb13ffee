"""A real PostgreSQL server crashes; it comes back, or its standby takes over."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from django.conf import settings as site
from django.db import connection

from django_secure_sessions import lifecycle
from django_secure_sessions.backends import db
from django_secure_sessions.models import Session
from tests import servers
from tests.cached import LOCMEM, cached_engine, empty_caches
from tests.factories import UserFactory
from tests.visitor import Visitor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.vendor("postgresql"),
    pytest.mark.needs("initdb"),
]


@pytest.fixture
def primary(server_of):
    """Return the server that takes writes, with the tables of the site."""
    return server_of()


@pytest.fixture
def server_of():
    """Return what starts servers; all are gone when the test is over."""
    started = []

    def start(**options):
        started.append(servers.PostgresServer(**options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def standby(primary, server_of):
    """Return a standby that has whatever the primary has said to be committed."""
    standby = server_of(of=primary)
    with primary.connect() as boss:
        boss.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        boss.execute("SELECT pg_reload_conf()")
        servers.wait_for(
            lambda: boss.execute(
                "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
            ).fetchone()
        )
    return standby


@pytest.fixture
def connected(transactional_db):
    """Return what has Django talk to some servers, whichever of them takes writes."""
    with ExitStack() as stack:
        yield lambda *chosen: stack.enter_context(servers.connected_to(*chosen))


@pytest.fixture(params=["db", "cached_db"])
def visitor(request, settings):
    settings.ROOT_URLCONF = "tests.pages"
    if request.param == "db":
        settings.SESSION_ENGINE = db.__name__
        yield Visitor()
    else:
        with cached_engine(settings, **LOCMEM):
            yield Visitor()
            empty_caches()


def test_crash_and_recovery(visitor, primary, connected):
    """While the server is away the answer is 503; afterwards all are signed in."""
    connected(primary)
    visitor.enter(UserFactory())
    visitor.get("/put/cart/full/")
    key = visitor.key
    primary.kill()
    empty_caches()

    for page in ("/show/", "/put/cart/empty/", "/show/"):
        response = visitor.get(page)
        assert response.status_code == 503
        assert site.SESSION_COOKIE_NAME not in response.cookies
    primary.start()
    connection.close()  # as between the requests of a real site

    assert visitor.get("/show/").status_code == 200
    assert visitor.data == {"cart": "full"}
    assert visitor.key == key


def test_failover_in_mid_login(visitor, primary, standby, connected):
    """
    A login cut off by a failover is none. On the new primary it works, who was
    signed in still is, and who was revoked still is, too.
    """
    connected(primary, standby)
    member, revoked, user = UserFactory.create_batch(3)
    others = [Visitor(), Visitor()]
    for other, owner in zip(others, (member, revoked), strict=True):
        other.enter(owner)
    lifecycle.end_all(revoked)

    def fail_over(execute, sql, params, many, context):
        if sql.startswith("INSERT") and primary.process.poll() is None:
            primary.kill()
            standby.promote()
        return execute(sql, params, many, context)

    visitor.get("/put/cart/full/")
    with connection.execute_wrapper(fail_over):
        response = visitor.get(f"/enter/{user.pk}/")
    assert response.status_code >= 500
    assert site.SESSION_COOKIE_NAME not in response.cookies
    connection.close()

    assert not Session.objects.filter(user=user).exists()
    visitor.enter(user)
    assert visitor.user == user.pk
    assert [other.user for other in others] == [member.pk, None]
