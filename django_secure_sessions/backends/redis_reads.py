"""
Reads from Redis past django-redis, where it would only hand bytes through.

For each value django-redis makes a key, tries to read a number, decompresses and
deserializes, which takes longer than Redis does. Where the serializer passes bytes
through and nothing is compressed, leaving that out changes no value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Read = Callable[[Sequence[str]], dict[str, Any]]

# Long enough, and plain enough, for any compressor to do its work.
_SAMPLE = b"E" * 10_000


def reader(cache: Any) -> Read | None:
    """
    Return what reads values straight from the Redis behind a cache.

    ``None`` where something must be done to keys or values on the way, or more than
    one server holds them.
    """
    client: Any = getattr(cache, "client", None)
    if not _is_plain(client):
        return None
    make_key = cache.make_key
    # From the primary: a replica may not know yet that a session ended.
    redis = client.get_client(write=True)

    def read(keys: Sequence[str]) -> dict[str, Any]:
        values = redis.execute_command("MGET", *map(make_key, keys))
        return dict(zip(keys, values, strict=True))

    return read


def _is_plain(client: Any) -> bool:
    """Whether a cache's client is one of django-redis' own for one primary."""
    try:
        from django_redis.client import (  # type: ignore[import-untyped]
            DefaultClient,
            SentinelClient,
        )
    except ImportError:
        return False
    return (
        type(client) in (DefaultClient, SentinelClient)
        and client.encode(_SAMPLE) == _SAMPLE
        and client.decode(_SAMPLE) == _SAMPLE
    )
