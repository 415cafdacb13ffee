"""For the cache alias of the sessions, where Memcached serves it."""

from __future__ import annotations

from typing import Any


class BytesSerde:
    """
    Passes bytes through: pymemcache's own pickles, and unpickles what it is given.

    An instance of it goes into ``OPTIONS["serde"]`` of Django's ``PyMemcacheCache``.
    """

    def serialize(self, key: bytes, value: Any) -> tuple[bytes, int]:
        """Return ``value``. Raise ``TypeError`` if it is not bytes."""
        if not isinstance(value, bytes):
            raise TypeError(f"This cache holds bytes only, not {type(value).__name__}.")
        return value, 0

    def deserialize(self, key: bytes, value: bytes, flags: int) -> bytes:
        return value
