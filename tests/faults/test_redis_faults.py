"""Redis dies, hangs, forgets and comes back: nobody is logged out, no end is lost."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from unittest import mock

import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError

from django_secure_sessions import lifecycle
from django_secure_sessions.backends import copies as copies_module
from django_secure_sessions.backends.copies import copies
from django_secure_sessions.conf import conf
from django_secure_sessions.models import Session
from tests import servers
from tests.cached import cached_engine, django_redis, opened, reopened
from tests.visitor import Visitor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("redis-server"),
]

NO_ROUTE = RedisConnectionError("no route to host")


@pytest.fixture
def redis():
    server = servers.RedisServer()
    yield server
    server.close()


@pytest.fixture
def store(settings, redis):
    settings.ROOT_URLCONF = "tests.pages"
    with cached_engine(settings, **django_redis(redis)) as store:
        yield store


@pytest.fixture(params=["wsgi", "asgi"])
def visitor(request, store):
    return Visitor(asgi=request.param == "asgi")


@pytest.fixture
def at_once(monkeypatch):
    """Ask a cache again as soon as it failed, so that no test has to wait."""
    monkeypatch.setattr(copies_module, "PAUSE", 0.0)


def crash(redis):
    redis.kill()


def hang(redis):
    redis.pause()


def swallow(redis):
    """Have django-redis swallow its errors, as many sites do, and crash."""
    caches["sessions"]._ignore_exceptions = True
    redis.kill()


@contextmanager
def cut():
    """Cut this process off from a Redis that keeps running, and keeps its data."""
    with mock.patch.object(Connection, "send_packed_command", side_effect=NO_ROUTE):
        yield


breakages = pytest.mark.parametrize("breaks", [crash, hang, swallow])


@breakages
class TestDown:
    def test_read(self, visitor, redis, user, breaks):
        """Who is logged in stays so, from the database, for one statement more."""
        visitor.enter(user)
        assert visitor.user == user.pk
        with CaptureQueriesContext(connection) as usual:
            assert visitor.user == user.pk
        breaks(redis)

        for _ in range(2):
            with CaptureQueriesContext(connection) as without:
                assert visitor.user == user.pk
            assert len(without) == len(usual) + 1

    def test_save(self, visitor, redis, user, breaks):
        """Data is saved, and read back."""
        visitor.enter(user)
        breaks(redis)
        visitor.get("/put/cart/full/")

        assert visitor.data == {"cart": "full"}

    def test_login(self, visitor, redis, user, breaks):
        """One can log in, and out."""
        breaks(redis)
        visitor.enter(user)
        assert visitor.user == user.pk

        visitor.post("/leave/")
        assert visitor.user is None

    def test_revoke(self, visitor, redis, user, breaks):
        """An end is an end: the database has it, and is asked."""
        visitor.enter(user)
        breaks(redis)
        lifecycle.end_all(user)

        assert visitor.user is None

    def test_login_evicts(self, store, redis, user, breaks, settings):
        """The limit holds without Redis."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1}
        first = opened(store, user)
        breaks(redis)
        opened(store, user)

        assert reopened(store, first.session_key).user_id is None

    def test_touch_store_cache(self, store, redis, user, breaks, settings, clock):
        """Where activity lives in the cache, it goes to the table meanwhile."""
        settings.SECURE_SESSIONS = {"TOUCH_STORE": "cache"}
        session = opened(store, user)
        breaks(redis)
        for _ in range(30):
            clock.shift(120)
            reopened(store, session.session_key).touch()

        assert reopened(store, session.session_key).user_id == user.pk


class TestBack:
    def test_restarted_empty(self, visitor, redis, user, at_once):
        """A Redis that forgot everything is filled again; nobody notices."""
        visitor.enter(user)
        visitor.get("/put/cart/full/")
        redis.kill()
        assert visitor.user == user.pk
        redis.start()

        assert visitor.data == {"cart": "full"}
        assert visitor.data == {"cart": "full"}
        assert caches["sessions"].client.get_client().dbsize() > 0

    def test_end_during_a_cut_is_told_first(self, store, user, at_once):
        """What could not be said while Redis was away is said before all else."""
        session = opened(store, user)
        with cut():
            lifecycle.end_all(user)

        assert reopened(store, session.session_key).user_id is None

    def test_save_during_a_cut_is_not_hidden(self, store, user, at_once):
        """Nor does the copy from before hide what was saved meanwhile."""
        session = opened(store, user, cart="full")
        with cut():
            session["cart"] = "empty"
            session.save()

        assert reopened(store, session.session_key)["cart"] == "empty"

    def test_lost_invalidation_is_bounded(self, store, user, clock):
        """
        An end that nobody told the cache of holds CACHE_TTL later.

        As when the process that ended the session died before Redis was back.
        """
        session = opened(store, user)
        with cut():
            lifecycle.end_all(user)
        copies_module._copies.cache_clear()  # the process dies, and forgets
        assert reopened(store, session.session_key).user_id == user.pk
        clock.shift(conf.cache_ttl.total_seconds() - 1)
        assert reopened(store, session.session_key).user_id == user.pk
        clock.shift(1)

        assert reopened(store, session.session_key).user_id is None


class TestPaused:
    """Redis hangs with everything it knew, a session ends, and Redis goes on."""

    @pytest.fixture
    def session(self, store, redis, user, at_once):
        session = opened(store, user)
        assert reopened(store, session.session_key).user_id == user.pk
        redis.pause()
        lifecycle.end_all(user)
        return session

    def test_in_this_process(self, store, redis, session):
        """The process that ended it never lets it in again."""
        assert reopened(store, session.session_key).user_id is None
        redis.resume()

        assert reopened(store, session.session_key).user_id is None
        copies_module._copies.cache_clear()  # what it told Redis, all processes hear
        assert reopened(store, session.session_key).user_id is None

    def test_in_another_process(self, store, redis, session, user, clock):
        """
        Another one, which was told nothing, lets it in for CACHE_TTL at most.

        As when the process that ended it died before Redis went on.
        """
        copies_module._copies.cache_clear()
        redis.resume()
        assert caches["sessions"].get("whether it answers") is None
        clock.shift(conf.cache_ttl.total_seconds())

        assert reopened(store, session.session_key).user_id is None


class TestSlow:
    def test_a_hang_is_paid_once(self, store, redis, user):
        """After one timeout Redis is left alone for a while."""
        session = opened(store, user)
        redis.pause()
        reopened(store, session.session_key)
        client = caches["sessions"].client.get_client()
        asked = client.connection_pool.connection_kwargs
        asked["socket_timeout"] = asked["socket_connect_timeout"] = 3600

        for _ in range(20):
            assert reopened(store, session.session_key).user_id == user.pk

    def test_one_line_a_minute(self, store, redis, user, at_once, caplog):
        """However many requests fail, the log has one line of it."""
        session = opened(store, user)
        redis.kill()
        with caplog.at_level(logging.WARNING, "django_secure_sessions"):
            for _ in range(20):
                reopened(store, session.session_key)

        [record] = caplog.records
        assert "'sessions' failed (ConnectionError)" in record.getMessage()


def test_fifty_outages(store, redis, user, at_once):
    """Down and up again, fifty times: always the same user, always the last data."""
    key = opened(store, user).session_key
    for number in range(50):
        session = reopened(store, key)
        session["n"] = number
        if number % 2:
            redis.kill()
            session.save()
            assert reopened(store, key)["n"] == number
            redis.start()
        else:
            session.save()
        again = reopened(store, key)
        assert again["n"] == number
        assert again.user_id == user.pk
    copies().put({}, 1)
    with CaptureQueriesContext(connection) as asked:
        reopened(store, key)
    assert len(asked) <= 1
    assert Session.objects.count() == 1
