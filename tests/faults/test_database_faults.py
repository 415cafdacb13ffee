"""The database goes away, fails over, and clocks jump."""

from __future__ import annotations

import pytest
from django.conf import settings as site
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, connections

from django_secure_sessions import lifecycle
from django_secure_sessions.backends import db
from django_secure_sessions.models import Session
from tests import servers
from tests.cached import LOCMEM, cached_engine, empty_caches, opened, reopened
from tests.visitor import Visitor

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["db", "cached_db"])
def store(request, settings):
    settings.ROOT_URLCONF = "tests.pages"
    if request.param == "db":
        settings.SESSION_ENGINE = db.__name__
        yield db.SessionStore
    else:
        with cached_engine(settings, **LOCMEM) as store:
            yield store
            cool()


@pytest.fixture
def visitor(store):
    return Visitor()


@pytest.fixture
def down():
    """Return a switch: while it is on, the database takes no statement."""

    class Down:
        on = False

        def __call__(self, execute, sql, params, many, context):
            if self.on:
                raise OperationalError("terminating connection")
            return execute(sql, params, many, context)

    down = Down()
    with connection.execute_wrapper(down):
        yield down


def cool():
    """Have the cached engine ask the database."""
    empty_caches()


class TestDatabaseDown:
    def test_read_is_answered_503(self, visitor, user, down):
        """A visitor is told to come back, and keeps the cookie."""
        visitor.enter(user)
        key = visitor.key
        cool()
        down.on = True
        response = visitor.get("/show/")

        assert response.status_code == 503
        assert site.SESSION_COOKIE_NAME not in response.cookies
        down.on = False
        assert visitor.key == key
        assert visitor.user == user.pk

    @pytest.mark.parametrize("page", ["/show/", "/private/", "/put/cart/full/"])
    def test_copy_does_not_hide_the_outage(self, visitor, user, down, page):
        """Where a copy opened the session and the page failed for want of its user."""
        visitor.enter(user)
        visitor.get("/show/")
        down.on = True
        response = visitor.get(page)

        assert response.status_code == 503
        assert response["Retry-After"]
        assert site.SESSION_COOKIE_NAME not in response.cookies
        down.on = False
        assert visitor.user == user.pk

    def test_save_is_answered_503(self, visitor, user, down):
        """So is a visitor whose page was ready, but not its session."""
        visitor.enter(user)
        cool()
        down.on = True
        response = visitor.get("/put/cart/full/")

        assert response.status_code == 503
        assert site.SESSION_COOKIE_NAME not in response.cookies
        down.on = False
        assert visitor.user == user.pk

    def test_warm_copy_bridges_a_moment(self, settings, user, down):
        """The cached engine opens a session that it knows, for CACHE_TTL."""
        with cached_engine(settings, **LOCMEM) as store:
            session = opened(store, user, cart="full")
            down.on = True
            assert reopened(store, session.session_key)["cart"] == "full"
            down.on = False
            cool()


@pytest.mark.vendor("postgresql")
class TestFailover:
    """The server ends the connection, as a failover does, at the worst moment."""

    @pytest.fixture
    def cut_at(self):
        """Return what cuts the connection right before a kind of statement."""

        class Cut:
            verb = None

            def __call__(self, execute, sql, params, many, context):
                if self.verb and sql.startswith(self.verb):
                    self.verb = None
                    terminate(connection)
                return execute(sql, params, many, context)

        cut = Cut()
        with connection.execute_wrapper(cut):
            yield cut

    @pytest.mark.parametrize("verb", ["UPDATE", "INSERT", "SELECT"])
    def test_login(self, visitor, user, cut_at, verb):
        """A login in mid-transaction is none, and works when tried again."""
        visitor.get("/put/cart/full/")
        cut_at.verb = verb
        response = visitor.get(f"/enter/{user.pk}/")
        assert response.status_code >= 500
        assert site.SESSION_COOKIE_NAME not in response.cookies
        connection.close()

        assert not Session.objects.filter(user=user).exists()
        visitor.enter(user)
        assert visitor.user == user.pk

    def test_save(self, visitor, user, cut_at):
        """A save that failed is a 503; the session and its data are as before."""
        visitor.enter(user)
        visitor.get("/put/cart/full/")
        cut_at.verb = "UPDATE"
        response = visitor.get("/put/cart/empty/")
        assert response.status_code == 503
        assert site.SESSION_COOKIE_NAME not in response.cookies
        connection.close()

        assert visitor.user == user.pk
        assert visitor.data == {"cart": "full"}

    def test_end(self, store, user, cut_at):
        """An end that failed says so, and has ended nothing, cached or not."""
        session = opened(store, user)
        cut_at.verb = "UPDATE"
        with pytest.raises(OperationalError):
            lifecycle.end(session.public_id)
        connection.close()

        assert reopened(store, session.session_key).user_id == user.pk


def terminate(victim):
    """End the server's side of a connection, from another one."""
    with victim.connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
            servers.wait_for(lambda: not exists(cursor, pid))
    finally:
        other.close()


def exists(cursor, pid):
    cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
    return cursor.fetchone() is not None


class TestClockJumps:
    def test_an_hour_back(self, store, user, clock):
        """Nobody is logged out, and nothing lives beyond its absolute limit."""
        session = opened(store, user)
        clock.shift(-3600)
        again = reopened(store, session.session_key)
        assert again.user_id == user.pk
        again["cart"] = "full"
        again.save()
        again.touch()
        assert reopened(store, session.session_key)["cart"] == "full"
        clock.shift(13 * 3600)

        assert reopened(store, session.session_key).user_id is None

    def test_an_hour_ahead(self, store, user, clock):
        """Sessions are idle by the new time; who logs in again stays."""
        session = opened(store, user)
        clock.shift(3600)
        assert reopened(store, session.session_key).ended.reason == "idle"
        second = opened(store, user)
        clock.shift(-3600)

        assert reopened(store, second.session_key).user_id == user.pk
        assert get_user_model().objects.count() == 1

    def test_end_holds_across_a_jump(self, store, user, clock):
        """No jump of the clock makes an old copy good again."""
        session = opened(store, user)
        lifecycle.end_all(user)
        for hours in (1, -2, 1):
            clock.shift(hours * 3600)
            assert reopened(store, session.session_key).user_id is None
