"""Put the cached engine into use, on any cache."""

from __future__ import annotations

from contextlib import contextmanager

from django.contrib.auth import SESSION_KEY
from django.core.cache import caches
from django.db.models.signals import post_delete, post_save

from django_secure_sessions import crypto, receivers
from django_secure_sessions.backends import copies as copies_module
from django_secure_sessions.backends import entries
from django_secure_sessions.backends.cached_db import SessionStore
from django_secure_sessions.contrib.memcached import BytesSerde
from django_secure_sessions.models import Session

ENGINE = "django_secure_sessions.backends.cached_db"
LOCMEM = {
    "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
    "LOCATION": "cached-engine",
}


@contextmanager
def cached_engine(settings, **cache):
    """Use the cached engine, on the alias of the settings or on `cache`."""
    settings.SESSION_ENGINE = ENGINE
    if cache:
        settings.CACHES = {**settings.CACHES, "sessions": cache}
    copies_module._copies.cache_clear()
    receivers.connect_to_rows()
    try:
        yield SessionStore
    finally:
        for signal in (post_save, post_delete):
            signal.disconnect(
                sender=Session,
                dispatch_uid="secure_sessions.row_"
                + ("saved" if signal is post_save else "deleted"),
            )
        caches["sessions"].close()
        copies_module._copies.cache_clear()


def django_redis(server, **options):
    """Return the CACHES entry for a Redis of the test's own."""
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": server if isinstance(server, str) else server.url,
        "OPTIONS": {
            "SERIALIZER": "django_secure_sessions.contrib.redis.BytesSerializer",
            "SOCKET_TIMEOUT": 0.3,
            "SOCKET_CONNECT_TIMEOUT": 0.3,
            **options,
        },
    }


def memcached(server):
    """Return the CACHES entry for a Memcached of the test's own."""
    return {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": f"127.0.0.1:{server.port}",
        "OPTIONS": {"serde": BytesSerde()},
    }


def opened(store, user=None, **data):
    """Store a session, of a user or of nobody, and return another look at it."""
    session = store()
    session.update(data)
    if user is not None:
        session[SESSION_KEY] = str(user.pk)
    session.save()
    return reopened(store, session.session_key)


def empty_caches():
    """
    Drop whatever this run has cached, and close the connections of the test.

    Keys are deleted by prefix on Redis, because a flush of the whole database would
    empty the cache of a run beside this one.
    """
    for cache in caches.all(initialized_only=True):
        if hasattr(cache, "delete_pattern"):
            cache.delete_pattern("*")
        else:
            cache.clear()
        cache.close()


def lapse(session):
    """Drop a session's copy, as the cache does in time: it knows no moved clock."""
    digest = crypto.resolve(session.session_key).digest
    caches["sessions"].delete(entries.keys_of(digest).entry)


def reopened(store, key):
    """Return the session of a key as a new request sees it."""
    session = store(key)
    session.items()
    return session
