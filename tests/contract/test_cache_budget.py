"""What a request may cost, counted by Redis itself and by the database."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis.connection import Connection

from django_secure_sessions import lifecycle
from django_secure_sessions.models import Session
from tests import servers
from tests.cached import cached_engine, django_redis, lapse, opened, reopened
from tests.visitor import Visitor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("redis-server"),
]

SESSION_TABLE = "django_secure_sessions_session"


@pytest.fixture(scope="module")
def redis():
    server = servers.RedisServer()
    yield server
    server.close()


@pytest.fixture
def store(settings, redis):
    settings.ROOT_URLCONF = "tests.pages"
    with cached_engine(settings, **django_redis(redis)) as store:
        yield store
        caches["sessions"].clear()


class Costs(CaptureQueriesContext):
    """Counts, in its block, statements, commands of Redis, and round trips to it."""

    def __init__(self, monkeypatch):
        super().__init__(connection)
        self.monkeypatch = monkeypatch
        self.round_trips = 0

    def __enter__(self):
        self.client = caches["sessions"].client.get_client()
        self.client.config_resetstat()
        original = Connection.send_packed_command

        def counted(*args, **kwargs):
            self.round_trips += 1
            return original(*args, **kwargs)

        self.monkeypatch.setattr(Connection, "send_packed_command", counted)
        return super().__enter__()

    def __exit__(self, *exception):
        self.monkeypatch.undo()
        super().__exit__(*exception)
        counted = self.client.info("commandstats")
        self.commands = {
            name.removeprefix("cmdstat_"): values["calls"]
            for name, values in counted.items()
            if not name.startswith(("cmdstat_config", "cmdstat_info"))
        }

    @property
    def session_statements(self):
        return [q["sql"] for q in self if SESSION_TABLE in q["sql"]]


@pytest.fixture
def costs(monkeypatch):
    return lambda: Costs(monkeypatch)


@pytest.fixture(params=["wsgi", "asgi"])
def visitor(request, store):
    return Visitor(asgi=request.param == "asgi")


def test_untouched_session(visitor, user, costs):
    """A page that does not look at its session costs nothing."""
    visitor.enter(user)
    with costs() as cost:
        visitor.get("/")

    assert (len(cost), cost.commands) == (0, {})


def test_forged_cookie(visitor, costs):
    """A key that was never issued costs nothing either."""
    visitor.key = "x" * 40
    with costs() as cost:
        assert visitor.user is None

    assert (len(cost), cost.commands) == (0, {})


def test_warm_read(visitor, user, costs):
    """One MGET, and of the database only the user, which is Django's own query."""
    visitor.enter(user)
    visitor.user  # noqa: B018 - warms the cache
    with costs() as cost:
        assert visitor.user == user.pk

    assert cost.commands == {"mget": 1}
    assert cost.round_trips == 1
    assert cost.session_statements == []


def test_touch(store, user, costs, clock):
    """Once an interval: one UPDATE and one SET more."""
    session = opened(store, user)
    clock.shift(58)
    caches["sessions"].clear()
    reopened(store, session.session_key)
    clock.shift(2)
    with costs() as cost:
        assert reopened(store, session.session_key).touch()

    assert cost.commands == {"mget": 1, "set": 1}
    assert [sql.split()[0] for sql in cost.session_statements] == ["UPDATE"]
    assert len(cost) == 1


def test_touch_in_the_cache(store, user, costs, clock, settings):
    """With TOUCH_STORE = "cache": one SET, and no statement at all."""
    settings.SECURE_SESSIONS = {"TOUCH_STORE": "cache"}
    session = opened(store, user)
    clock.shift(61)
    lapse(session)
    reopened(store, session.session_key)
    with costs() as cost:
        assert reopened(store, session.session_key).touch()

    assert cost.commands == {"mget": 1, "set": 1}
    assert len(cost) == 0


def test_modified(store, user, costs):
    """A save costs one UPDATE, no transaction statements, and one SET."""
    session = opened(store, user)
    with costs() as cost:
        again = reopened(store, session.session_key)
        again["cart"] = "full"
        again.save()

    assert cost.commands == {"mget": 1, "set": 1}
    assert cost.round_trips == 2
    assert [query["sql"].split()[0] for query in cost] == ["UPDATE"]


def test_cleanup_of_what_expired(store, user, costs, clock):
    """A copy knows when its time is over: Redis need not hear of it."""
    reopened(store, opened(store, user).session_key)
    clock.shift(13 * 3600)
    with costs() as cost:
        store.clear_expired()

    assert Session.objects.get().end_reason == "idle"
    assert cost.commands == {}


def test_cold_read(store, user, costs):
    """A miss costs one SELECT, and the fill."""
    session = opened(store, user)
    caches["sessions"].clear()
    with costs() as cost:
        reopened(store, session.session_key)

    assert cost.commands == {"mget": 1, "set": 1}
    assert [query["sql"].split()[0] for query in cost] == ["SELECT"]


@pytest.mark.parametrize("others", [0, 1, 3, 30])
def test_login(visitor, store, user, costs, others, settings):
    """However many sessions leave for it, a login tells Redis in one go."""
    settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
    for _ in range(others):
        opened(store, user)
    settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1}
    with costs() as cost:
        visitor.enter(user)

    assert cost.round_trips == min(others, 1)
    assert cost.commands.get("set", 0) == 2 * others


@pytest.mark.parametrize("others", [0, 3])
def test_login_of_a_known_browser(visitor, store, user, costs, others, settings):
    """With an anonymous session before it: its read, its rotation, and the login."""
    settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
    for _ in range(others):
        opened(store, user)
    settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1}
    visitor.get("/put/cart/full/")
    with costs() as cost:
        visitor.enter(user)

    assert cost.round_trips == 3
    assert cost.commands["mget"] == 1


@pytest.mark.parametrize("count", [1, 100])
def test_end_all(store, user, costs, count, settings):
    """All sessions of a user end in one round trip to Redis."""
    settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
    for _ in range(count):
        opened(store, user)
    with costs() as cost:
        assert lifecycle.end_all(user) == count

    assert cost.round_trips == 1
    assert cost.commands["set"] == 2 * count


def test_bulk_delete(store, user, costs, settings):
    """So do rows that a project deletes by the hundred."""
    settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
    for _ in range(100):
        opened(store, user)
    with costs() as cost:
        get_user_model().objects.all().delete()

    assert cost.round_trips <= 2
