"""Where a cache keeps its data: in whose memory, whichever client asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.cache.backends.memcached import BaseMemcachedCache
from django.utils.module_loading import import_string

REDIS_PORT, MEMCACHED_PORT = 6379, 11211


def places(entry: Mapping[str, Any]) -> frozenset[tuple[Any, ...]]:
    """
    Return what an entry of ``CACHES`` stores in, as host and port where it is one.

    The number of a Redis database is none of it: memory, and what is evicted from
    it, is the server's.
    """
    found = servers(entry.get("LOCATION") or "")
    if sentinels := (entry.get("OPTIONS") or {}).get("SENTINELS"):
        services = {urlsplit(server).hostname for server in found}
        return frozenset((*peer, name) for peer in sentinels for name in services)
    return frozenset(_place(entry["BACKEND"], server) for server in found)


def servers(location: Any) -> list[str]:
    """Return the servers that a ``LOCATION`` names, in either of its forms."""
    if isinstance(location, str):
        return [part.strip() for part in location.replace(";", ",").split(",")]
    return list(location or ())


def _place(backend: str, server: str) -> tuple[Any, ...]:
    if "://" in server:
        return _address(server, REDIS_PORT) or (backend, server)
    if issubclass(import_string(backend), BaseMemcachedCache):
        url = f"memcached://{server.removeprefix('unix:')}"
        return _address(url, MEMCACHED_PORT) or (backend, server)
    return backend, server


def _address(url: str, port: int) -> tuple[Any, ...] | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or port
    except ValueError:
        return None
    if not host:
        return (parts.path,)
    return ("127.0.0.1" if host == "localhost" else host, port)
