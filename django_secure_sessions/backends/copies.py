"""
The cache as the engine sees it: it may answer, be slow, or be gone.

A failure is logged once a minute and followed by a pause of some seconds in which
this process leaves the cache alone, so that a slow one costs one request its
timeout and not each. What could not be overwritten meanwhile is remembered, and is
the first thing said when the cache is back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.signals import setting_changed
from django.db import connections, transaction

from .entries import ENDED
from .redis_reads import Read, reader

logger = logging.getLogger("django_secure_sessions")

PAUSE = 5.0  # seconds in which a cache that failed isn't asked
LOG_EVERY = 60.0  # seconds
# Beyond so many, the oldest are left to their void date: 10^5 take some 20 MB.
MOST_OWED = 100_000


class CopyFailed(Exception):
    """The cache answered, but did not do what it was asked to."""


class Copies:
    """One cache alias. Nothing in here raises when the cache fails."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._lock = threading.Lock()
        self._failing = False
        self._retry_at = 0.0
        self._logged_at: dict[str, float] = {}
        # Keys to overwrite when the cache is back, with when that becomes moot.
        self._owed: dict[str, float] = {}

    def get(self, keys: Sequence[str]) -> dict[str, Any] | None:
        """Return what the cache has, in one round trip; ``None`` if it fails."""
        if not self._is_ready():
            return None
        found: dict[str, Any] | None = self._try(lambda: self._read(keys))
        return found

    def add(self, key: str, value: bytes, ttl: float) -> bool | None:
        """Set a value where there is none. ``None``: the cache failed."""
        if not self._is_ready():
            return None
        added = self._try(lambda: self._cache.add(key, value, ttl))
        return None if added is None else bool(added)

    def put(
        self, values: Mapping[str, bytes], ttl: float, *, urgent: bool = False
    ) -> bool:
        """
        Set values, in one round trip, and return whether that worked.

        If it didn't, what the keys held is overwritten when the cache is back.
        ``urgent`` asks the cache even if it failed a moment ago.
        """
        sent = False
        if urgent or self._is_ready():
            sent = self._try(lambda: self._write(values, ttl)) is not None
        if sent:
            for key in values.keys() & self._owed.keys():
                self._owed.pop(key, None)
        else:
            self._owe(values, ttl)
        return sent

    def refresh(self, key: str, value: bytes, ttl: float) -> bool:
        """Set a value that may as well be lost; return whether it was set."""
        if not self._is_ready():
            return False
        return self._try(lambda: self._write({key: value}, ttl)) is not None

    def warn(self, message: str, *args: object) -> None:
        """Log a warning, but each message only once a minute."""
        now = time.monotonic()
        with self._lock:
            if now - self._logged_at.get(message, -LOG_EVERY) < LOG_EVERY:
                return
            self._logged_at[message] = now
        logger.warning(message, *args)

    @cached_property
    def _straight(self) -> Read | None:
        return reader(caches[self.alias])

    @property
    def _cache(self) -> Any:
        """The cache; of django-redis its client, which raises in any setting."""
        cache: Any = caches[self.alias]
        return cache.client if _is_django_redis(cache.__class__) else cache

    def _read(self, keys: Sequence[str]) -> dict[str, Any]:
        if self._straight is not None:
            return self._straight(keys)
        cache = self._cache
        if hasattr(cache, "get_client_with_index"):
            # From the primary: a replica may not know yet that a session ended.
            found = cache.get_many(keys, client=cache.get_client(write=True))
        else:
            found = cache.get_many(keys)
        return dict(found)

    def _write(self, values: Mapping[str, bytes], ttl: float) -> bool:
        if len(values) == 1:
            [(key, value)] = values.items()
            self._cache.set(key, value, ttl)
        elif failed := self._cache.set_many(dict(values), ttl):
            raise CopyFailed(f"{len(failed)} of {len(values)} values were not set")
        return True

    def _is_ready(self) -> bool:
        if self._failing:
            with self._lock:
                now = time.monotonic()
                if now < self._retry_at:
                    return False
                # One request at a time finds out; the others pass by.
                self._retry_at = now + PAUSE
        return not self._owed or self._settle()

    def _settle(self) -> bool:
        """Overwrite what is owed. Until then this process reads nothing."""
        now = time.monotonic()
        with self._lock:
            owed = dict(self._owed)
        due = {key: until for key, until in owed.items() if until > now}
        if due:
            ttl = max(due.values()) - now
            values = dict.fromkeys(due, ENDED)
            if self._try(lambda: self._write(values, ttl)) is None:
                return False
        with self._lock:
            for key, until in owed.items():
                if self._owed.get(key) == until:
                    del self._owed[key]
        return True

    def _owe(self, keys: Mapping[str, bytes], ttl: float) -> None:
        until = time.monotonic() + ttl
        with self._lock:
            for key in keys:
                self._owed.pop(key, None)
                self._owed[key] = until
            while len(self._owed) > MOST_OWED:
                del self._owed[next(iter(self._owed))]

    def _try(self, operation: Callable[[], Any]) -> Any:
        try:
            result = operation()
        except Exception as error:  # whatever a cache library calls its failures
            with self._lock:
                self._failing, self._retry_at = True, time.monotonic() + PAUSE
            cause = type(error.__cause__ or error).__name__
            message = "The session cache %r failed (%s); the database serves alone."
            self.warn(message, self.alias, cause)
            return None
        self._failing = False
        return result


class _Waiting:
    """Work that waits for the commit of the transaction that it tells of."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work

    def __call__(self) -> None:
        self._work()


class _WaitingValues(_Waiting):
    def __init__(self, copies: Copies) -> None:
        super().__init__(self._put)
        self._copies = copies
        self._values: dict[str, bytes] = {}
        self._ttl, self._urgent = 0.0, False

    def include(self, values: Mapping[str, bytes], ttl: float, urgent: bool) -> None:
        self._values |= values
        self._ttl = max(self._ttl, ttl)
        self._urgent |= urgent

    def _put(self) -> None:
        self._copies.put(self._values, self._ttl, urgent=self._urgent)


def after_commit(work: Callable[[], object], *, using: str) -> None:
    """Do ``work`` at once, or when the transaction around us is committed."""
    transaction.on_commit(_Waiting(work), using=using)


def put_after_commit(
    copies: Copies,
    values: Mapping[str, bytes],
    ttl: float,
    *,
    using: str,
    urgent: bool = False,
) -> None:
    """
    Set values at once, or as soon as the transaction around us is committed.

    Those of one transaction travel together. A rollback, also to a savepoint, takes
    back what was to be set for what it undid.
    """
    connection = connections[using]
    if not connection.in_atomic_block:
        copies.put(values, ttl, urgent=urgent)
        return
    waiting: list[Any] = connection.run_on_commit
    latest = next((w for w in reversed(waiting) if isinstance(w[1], _Waiting)), None)
    # Only with the latest of ours: what was set last must stay last.
    if latest and latest[0] == {*connection.savepoint_ids}:
        together = latest[1]
        if isinstance(together, _WaitingValues):
            together.include(values, ttl, urgent)
            return
    alone = _WaitingValues(copies)
    alone.include(values, ttl, urgent)
    transaction.on_commit(alone, using=using)


def is_pending(using: str) -> bool:
    """Whether the transaction around us, if any, has something to tell later."""
    connection = connections[using]
    return bool(connection.in_atomic_block and connection.run_on_commit)


def copies() -> Copies:
    """The copies kept in ``SESSION_CACHE_ALIAS``."""
    return _copies(settings.SESSION_CACHE_ALIAS)


@lru_cache(maxsize=8)
def _copies(alias: str) -> Copies:
    return Copies(alias)


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "CACHES":
        _copies.cache_clear()


setting_changed.connect(_forget, dispatch_uid="secure_sessions.copies")


@lru_cache(maxsize=8)
def _is_django_redis(cache: type[Any]) -> bool:
    return any(base.__module__ == "django_redis.cache" for base in cache.__mro__)
