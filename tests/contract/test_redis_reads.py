"""Values come straight from Redis, where nothing would be done to them on the way."""

from __future__ import annotations

import sys

import pytest
from django.core.cache import caches

from django_secure_sessions.backends import copies as copies_module
from django_secure_sessions.backends.redis_reads import reader
from tests import servers
from tests.cached import LOCMEM, django_redis

pytestmark = pytest.mark.needs("redis-server")

VALUES = {"a": b"E\x01\x00\xff", "b": b"12", "c": b""}


@pytest.fixture(scope="module")
def redis():
    server = servers.RedisServer()
    yield server
    server.close()


@pytest.fixture
def cache(settings, redis):
    def made(**entry):
        settings.CACHES = {**settings.CACHES, "sessions": entry}
        return caches["sessions"]

    yield made
    caches["sessions"].close()


def spelled_oddly(key, prefix, version):
    return f"{version}/{key}/{prefix}"


@pytest.mark.parametrize(
    "more", [{}, {"KEY_PREFIX": "mine"}, {"KEY_FUNCTION": spelled_oddly}]
)
def test_it_finds_what_was_stored(cache, redis, more):
    """Under whatever keys the site's settings make, and byte by byte."""
    cache = cache(**django_redis(redis), **more)
    cache.set_many(VALUES, 60)

    found = reader(cache)([*VALUES, "nothing"])

    assert found == {**VALUES, "nothing": None}


@pytest.mark.parametrize(
    "options",
    [
        {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"},
        {"SERIALIZER": "django_redis.serializers.pickle.PickleSerializer"},
        {"CLIENT_CLASS": "django_redis.client.ShardClient"},
        {"CLIENT_CLASS": "django_redis.client.HerdClient"},
    ],
    ids=lambda options: next(iter(options.values())).rpartition(".")[2],
)
def test_who_changes_values_is_asked(cache, redis, options):
    """Where bytes are not handed through, the cache's own way is taken."""
    assert reader(cache(**django_redis(redis, **options))) is None


def test_other_caches_are_asked(cache, monkeypatch):
    """Whether django-redis is installed beside them or not."""
    assert reader(cache(**LOCMEM)) is None

    monkeypatch.setitem(sys.modules, "django_redis.client", None)
    assert reader(cache(**LOCMEM)) is None


def test_other_settings_lead_elsewhere(cache, redis, settings):
    """Tests of a site may change CACHES: nothing is read from the server before."""
    settings.SESSION_CACHE_ALIAS = "sessions"
    cache(**django_redis(redis)).set("a", b"old", 60)
    assert copies_module.copies().get(["a"])["a"] == b"old"

    cache(**LOCMEM)

    assert copies_module.copies().get(["a"]).get("a") is None
