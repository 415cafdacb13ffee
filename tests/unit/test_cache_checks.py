"""The checks name a cache that unpickles, forgets, keeps to itself, or is not there."""

from __future__ import annotations

import pytest

from django_secure_sessions.checks import cache as checks
from django_secure_sessions.contrib.memcached import BytesSerde
from tests.cached import ENGINE, LOCMEM

BACKENDS = "django.core.cache.backends"
BYTES = "django_secure_sessions.contrib.redis.BytesSerializer"
TIMEOUTS = {"SOCKET_TIMEOUT": 0.3, "SOCKET_CONNECT_TIMEOUT": 0.3}


def django_redis(**options):
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://127.0.0.1:6379/9",
        "OPTIONS": options,
    }


def djangos(name, location="redis://127.0.0.1:6379/9", **options):
    return {
        "BACKEND": f"{BACKENDS}.{name}",
        "LOCATION": location,
        "OPTIONS": options,
    }


@pytest.fixture
def found(settings):
    """Return what gives the ids of all findings for a cache."""
    settings.SESSION_ENGINE = ENGINE

    def found(cache, **others):
        settings.CACHES = {"default": LOCMEM, "sessions": cache, **others}
        messages = [
            *checks.check_cache(),
            *checks.check_cache_at_work(),
            *checks.check_touch_store(),
        ]
        return [message.id.removeprefix("secure_sessions.") for message in messages]

    return found


GOOD = {
    "django-redis": django_redis(SERIALIZER=BYTES, **TIMEOUTS),
    "django's redis": djangos("redis.RedisCache", serializer=BYTES),
    "memcached": djangos("memcached.PyMemcacheCache", "h:1", serde=BytesSerde()),
}


@pytest.mark.parametrize("cache", GOOD.values(), ids=list(GOOD))
def test_documented_aliases_pass(found, cache):
    """What the documentation says to write has no findings."""
    assert found(cache) == []


class PickleSerde:
    """Like pymemcache's own: what to do with a value is for its writer to say."""

    def serialize(self, key, value):
        return value, 0

    def deserialize(self, key, value, flags):
        return value if flags == 0 else object()


PICKLING = {
    "django-redis": django_redis(**TIMEOUTS),
    "django-redis, json": django_redis(
        SERIALIZER="django_redis.serializers.json.JSONSerializer", **TIMEOUTS
    ),
    "django's redis": djangos("redis.RedisCache"),
    "memcached": djangos("memcached.PyMemcacheCache", "h:1"),
    "memcached, own": djangos("memcached.PyMemcacheCache", "h:1", serde=PickleSerde()),
    "pylibmc": djangos("memcached.PyLibMCCache", "h:1"),
    "database": djangos("db.DatabaseCache", "table"),
    "files": djangos("filebased.FileBasedCache", "folder"),
}


@pytest.mark.parametrize("cache", PICKLING.values(), ids=list(PICKLING))
def test_alias_that_interprets_is_an_error(found, cache):
    """An alias that does more than to pass bytes through is named."""
    assert found(cache) == ["E202"]


def test_missing_alias_is_an_error(settings):
    """So is one that is not there."""
    settings.SESSION_ENGINE = ENGINE
    settings.SESSION_CACHE_ALIAS = "nowhere"
    [message] = checks.check_cache()

    assert message.id == "secure_sessions.E201"
    assert checks.check_cache_at_work() == []


def test_dummy_keeps_nothing(found):
    """A cache that keeps nothing is worth no engine."""
    assert found(djangos("dummy.DummyCache", "")) == ["W201"]


def test_memory_of_one_process(found):
    """LocMem is named for production: no other process hears of an end."""
    assert found({**LOCMEM, "LOCATION": "own"}) == ["W202"]


def test_shared_memory(found):
    """Sessions and what may be evicted should not share a database."""
    sessions = GOOD["django-redis"]
    pages = {**sessions, "KEY_PREFIX": "pages"}

    assert found(sessions, pages=pages) == ["W203"]


SESSIONS = "redis://cache.example:6379/0"
SAME_MEMORY = {
    "django's redis": djangos("redis.RedisCache", SESSIONS),
    "no database named": {**django_redis(), "LOCATION": "redis://cache.example:6379"},
    "no port named": djangos("redis.RedisCache", "redis://cache.example"),
    "another database": {**django_redis(), "LOCATION": "redis://cache.example:6379/5"},
    "by tls, with a password": djangos("redis.RedisCache", "rediss://:p@CACHE.example"),
    "one of several": djangos("redis.RedisCache", ["redis://other", SESSIONS]),
    "in one text": {**django_redis(), "LOCATION": f"redis://other,{SESSIONS}"},
}
OTHER_MEMORY = {
    "another port": djangos("redis.RedisCache", "redis://cache.example:6380/0"),
    "another host": djangos("redis.RedisCache", "redis://pages.example:6379/0"),
    "a socket": djangos("redis.RedisCache", "unix:///run/redis.sock"),
    "memcached": djangos("memcached.PyMemcacheCache", "cache.example:11211"),
    "files": djangos("filebased.FileBasedCache", "/cache.example"),
    "no port at all": djangos("redis.RedisCache", "redis://cache.example:none"),
}


@pytest.mark.parametrize("pages", SAME_MEMORY.values(), ids=list(SAME_MEMORY))
def test_one_server_is_one_memory(found, pages):
    """Whichever client asks, and for which database: memory is the server's."""
    sessions = {**GOOD["django-redis"], "LOCATION": SESSIONS}

    assert found(sessions, pages=pages) == ["W203"]


@pytest.mark.parametrize("pages", OTHER_MEMORY.values(), ids=list(OTHER_MEMORY))
def test_two_servers_are_not(found, pages):
    """Another host, port or socket evicts nothing of the sessions."""
    sessions = {**GOOD["django-redis"], "LOCATION": SESSIONS}

    assert found(sessions, pages=pages) == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("localhost:11211", "127.0.0.1:11211", ["W203"]),
        (["a:1", "b"], "b:11211", ["W203"]),
        ("unix:/run/m.sock", "unix:/run/m.sock", ["W203"]),
        ("unix:/run/m.sock", "/run/m.sock", ["W203"]),
        ("unix:/run/m.sock", "unix:/run/n.sock", []),
        ("a:1", "a:2", []),
    ],
)
def test_memcached_by_address(found, one, other, expected):
    """The same for Memcached, whose addresses have no scheme."""
    sessions = djangos("memcached.PyMemcacheCache", one, serde=BytesSerde())
    pages = djangos("memcached.PyMemcacheCache", other)

    assert found(sessions, pages=pages) == expected


@pytest.mark.parametrize(
    ("service", "port", "expected"),
    [("one", 26379, ["W203"]), ("two", 26379, []), ("one", 26380, [])],
)
def test_sentinel_by_service(found, service, port, expected):
    """Under Sentinel a service of the same sentinels is a server."""

    def watched(service, port):
        sentinels = [("10.0.0.1", port)]
        cache = django_redis(SERIALIZER=BYTES, SENTINELS=sentinels, **TIMEOUTS)
        return {**cache, "LOCATION": f"redis://{service}/0"}

    sessions, pages = watched("one", 26379), watched(service, port)

    assert found(sessions, pages=pages) == expected


def test_default_alias_is_shared(settings):
    """The default alias is where a site's own code caches."""
    settings.SESSION_ENGINE = ENGINE
    settings.SESSION_CACHE_ALIAS = "default"
    settings.CACHES = {"default": GOOD["django-redis"]}
    [message] = checks.check_cache_at_work()

    assert message.id == "secure_sessions.W203"


def test_no_timeout(found):
    """Without timeouts one slow server holds every request."""
    assert found(django_redis(SERIALIZER=BYTES, SOCKET_TIMEOUT=1)) == ["W204"]


def test_replicas(found):
    """Django's own Redis cache asks replicas, which lag."""
    servers = ["redis://a", "redis://b"]
    cache = djangos("redis.RedisCache", servers, serializer=BYTES)

    assert found(cache) == ["W205"]


def test_touch_store_without_a_cache(settings):
    """TOUCH_STORE means nothing to the engine without a cache."""
    settings.SECURE_SESSIONS = {"TOUCH_STORE": "cache"}
    [message] = checks.check_touch_store()

    assert message.id == "secure_sessions.W206"


def test_other_engine_is_left_alone(found, settings):
    """The aliases of a site that keeps sessions elsewhere are its own business."""
    cache = PICKLING["django-redis"]
    settings.SESSION_ENGINE = "django_secure_sessions.backends.db"

    assert found(cache) == []
