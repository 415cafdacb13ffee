"""A hundred logins of one user at the same moment."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from django.db import connection

from django_secure_sessions.backends import conflicts
from django_secure_sessions.models import Session, SessionEvent
from tests import servers
from tests.cached import LOCMEM, cached_engine, empty_caches
from tests.concurrency.threads import together, watching
from tests.factories import UserFactory
from tests.needs import need
from tests.visitor import Visitor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.pages"),
]


@pytest.fixture(scope="module")
def roomy_postgresql():
    """A server that grants more connections than the 100 of PostgreSQL's default."""
    need("initdb")
    server = servers.PostgresServer("-c", "max_connections=200")
    yield server
    server.close()


@pytest.fixture
def crowd(request, transactional_db):
    """
    Return how many log in at once, each on a connection of its own.

    SQLite has one writer at a time, so fewer prove as much there.
    """
    if connection.vendor == "sqlite":
        yield 20
    elif connection.vendor == "postgresql":
        server = request.getfixturevalue("roomy_postgresql")
        with servers.connected_to(server):
            yield 100
    else:
        yield 100


@pytest.fixture
def engine(request, settings):
    on_cache = request.param == "cached_db"
    with cached_engine(settings, **LOCMEM) if on_cache else nullcontext():
        yield request.param
        empty_caches()


@pytest.mark.parametrize(
    ("engine", "known"),
    [("db", False), ("db", True), ("cached_db", False)],
    ids=["new browsers", "known browsers", "on cached_db, through ASGI"],
    indirect=["engine"],
)
def test_limit_holds_at_every_commit(crowd, engine, known, monkeypatch):
    """
    Of 100 parallel logins of one user all succeed, and 3 sessions are left.

    Browsers are new, or had anonymous sessions. Meanwhile somebody who only reads
    committed rows never sees a fourth live session. No login has a second try, so
    none lost a deadlock.
    """
    monkeypatch.setattr(conflicts, "TRIES", 1)
    user = UserFactory()
    browsers = [Visitor(asgi=engine == "cached_db") for _ in range(crowd)]
    for browser in browsers if known else ():
        browser.get("/put/cart/full/")
    live = Session.objects.filter(user=user, ended_at=None)

    def enter(browser):
        page = "aenter" if browser.asgi else "enter"
        return browser.get(f"/{page}/{user.pk}/").status_code

    with watching(live.count) as seen:
        statuses = together(enter, browsers, at_once=crowd)

    assert statuses == [200] * crowd
    assert len(seen) > 5
    assert max(seen) <= 3
    assert live.count() == 3
    assert Session.objects.filter(user=user).count() == crowd
    assert SessionEvent.objects.filter(user=user, kind="evicted").count() == crowd - 3
