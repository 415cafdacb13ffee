"""Checks of the cache in front of the sessions: ``backends.cached_db`` only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.memcached import BaseMemcachedCache
from django.core.cache.backends.redis import RedisCache
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from django_secure_sessions.backends import ending
from django_secure_sessions.conf import conf

from .places import places, servers
from .values import written

BYTES_SERIALIZER = "django_secure_sessions.contrib.redis.BytesSerializer"
BYTES_SERDE = "django_secure_sessions.contrib.memcached.BytesSerde"
# No string and no pickle: comes back unchanged only where nothing interprets it.
PROBE = b"\xff\x00probe"


def check_cache(**kwargs: Any) -> list[CheckMessage]:
    """E201, E202, W201: an alias that is not there, unpickles, or keeps nothing."""
    if not _is_in_use():
        return []
    alias = settings.SESSION_CACHE_ALIAS
    if alias not in settings.CACHES:
        return [
            Error(
                f"SESSION_CACHE_ALIAS names {alias!r}, which CACHES does not have.",
                hint="SESSION_CACHE_ALIAS = 'sessions', and an alias by that name",
                id="secure_sessions.E201",
            )
        ]
    backend, options = _alias(alias)
    if issubclass(backend, DummyCache):
        return [
            Warning(
                f"CACHES[{alias!r}] keeps nothing: every request asks the database.",
                hint="SESSION_ENGINE = 'django_secure_sessions.backends.db'",
                id="secure_sessions.W201",
            )
        ]
    hint = _mend(backend, options)
    if hint is None:
        return []
    return [
        Error(
            f"CACHES[{alias!r}] does not hand over bytes as they are. If it "
            "unpickles them, whoever can write to it can run code here.",
            hint=hint,
            id="secure_sessions.E202",
        )
    ]


def check_cache_at_work(**kwargs: Any) -> list[CheckMessage]:
    """W202 to W205: a cache that is fine at a desk and not on a site."""
    alias = settings.SESSION_CACHE_ALIAS
    if not _is_in_use() or alias not in settings.CACHES:
        return []
    backend, options = _alias(alias)
    found: list[CheckMessage] = []
    if issubclass(backend, LocMemCache):
        found.append(
            Warning(
                f"CACHES[{alias!r}] lives in one process. The others hear of the "
                f"end of a session up to {conf.cache_ttl.total_seconds():g} s late.",
                hint="Use Redis, or SESSION_ENGINE = "
                "'django_secure_sessions.backends.db'",
                id="secure_sessions.W202",
            )
        )
    if neighbours := _neighbours(alias):
        found.append(
            Warning(
                f"CACHES[{alias!r}] shares its memory with {neighbours}. When that "
                "is full, or cleared, it forgets that sessions ended: they may open "
                f"for up to {conf.cache_ttl.total_seconds():g} s more.",
                hint="Give SESSION_CACHE_ALIAS a server of its own: the databases of a "
                "Redis share its memory",
                id="secure_sessions.W203",
            )
        )
    if _is_django_redis(backend) and not _has_timeouts(options):
        found.append(
            Warning(
                f"CACHES[{alias!r}] may keep a request waiting for many seconds.",
                hint="SOCKET_TIMEOUT and SOCKET_CONNECT_TIMEOUT in its OPTIONS, "
                "of half a second or less",
                id="secure_sessions.W204",
            )
        )
    location = settings.CACHES[alias].get("LOCATION")
    if issubclass(backend, RedisCache) and len(servers(location)) > 1:
        found.append(
            Warning(
                f"CACHES[{alias!r}] reads from replicas, which hear of the end of "
                "a session after the primary does.",
                hint="One LOCATION, or django-redis: with that the engine reads from "
                "the primary",
                id="secure_sessions.W205",
            )
        )
    return found


def check_touch_store(**kwargs: Any) -> list[CheckMessage]:
    """W206: activity is to stay in a cache that the engine does not have."""
    if written().get("TOUCH_STORE") != "cache" or _is_in_use():
        return []
    return [
        Warning(
            "TOUCH_STORE is 'cache', but the engine keeps nothing in a cache.",
            hint="SESSION_ENGINE = 'django_secure_sessions.backends.cached_db'",
            id="secure_sessions.W206",
        )
    ]


def _is_in_use() -> bool:
    try:
        return ending.keeps_copies()
    except (ImportError, AttributeError):
        return False  # for E004 to say


def _alias(alias: str) -> tuple[type[Any], dict[str, Any]]:
    entry = settings.CACHES[alias]
    return import_string(entry["BACKEND"]), entry.get("OPTIONS") or {}


def _mend(backend: type[Any], options: dict[str, Any]) -> str | None:
    """Say how to make an alias pass bytes through; ``None`` if it does, or may."""
    if _is_django_redis(backend):
        made = _made(options.get("SERIALIZER"), options)
        return (
            None if _passes(made) else f"OPTIONS['SERIALIZER'] = {BYTES_SERIALIZER!r}"
        )
    if issubclass(backend, RedisCache):
        made = _made(options.get("serializer"))
        return (
            None if _passes(made) else f"OPTIONS['serializer'] = {BYTES_SERIALIZER!r}"
        )
    if issubclass(backend, BaseMemcachedCache):
        if _serde_passes(options.get("serde")):
            return None
        return f"PyMemcacheCache, with OPTIONS['serde'] = {BYTES_SERDE}()"
    if issubclass(backend, (DatabaseCache, FileBasedCache)):
        return "Use Redis or Memcached: this backend always unpickles"
    return None


def _made(serializer: Any, *args: Any) -> Any:
    """Return the serializer that an option means, as the backend will make it."""
    if isinstance(serializer, str):
        serializer = import_string(serializer)
    return serializer(*args) if callable(serializer) else serializer


def _passes(serializer: Any) -> bool:
    return serializer is not None and _unchanged(serializer.dumps, serializer.loads)


def _serde_passes(serde: Any) -> bool:
    if serde is None:
        return False
    # Flags are the writer's to choose: with other ones pymemcache's own unpickles.
    return _unchanged(
        lambda value: serde.serialize(b"key", value)[0],
        lambda value: serde.deserialize(b"key", value, 1),
    )


def _unchanged(*steps: Callable[[bytes], Any]) -> bool:
    try:
        return all(step(PROBE) == PROBE for step in steps)
    except Exception:  # whatever a serializer says to bytes that it can't read
        return False


def _neighbours(alias: str) -> str:
    """Name who else keeps data where this alias does; ``""`` for nobody."""
    caches = settings.CACHES
    own = places(caches[alias])
    others = [name for name in caches if name != alias and own & places(caches[name])]
    if others:
        return ", ".join(repr(name) for name in sorted(others))
    return "whatever the site caches by default" if alias == "default" else ""


def _has_timeouts(options: dict[str, Any]) -> bool:
    names = ("SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT")
    return all(options.get(name) for name in names)


def _is_django_redis(backend: type[Any]) -> bool:
    return any(base.__module__ == "django_redis.cache" for base in backend.__mro__)
