"""
For the cache alias of the sessions, where Redis serves it.

``BytesSerializer`` goes into ``OPTIONS["SERIALIZER"]`` of django-redis, or
``OPTIONS["serializer"]`` of Django's own Redis cache.
"""

from __future__ import annotations

from typing import Any


class BytesSerializer:
    """Passes bytes through. Nothing that comes from Redis is ever interpreted."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        """Takes the alias's ``OPTIONS``, as django-redis passes them; uses none."""

    def dumps(self, value: Any) -> bytes:
        """Return ``value``. Raise ``TypeError`` if it is not bytes."""
        if not isinstance(value, bytes):
            raise TypeError(f"This cache holds bytes only, not {type(value).__name__}.")
        return value

    def loads(self, value: bytes) -> bytes:
        return value
