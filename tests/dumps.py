"""What a thief of the database or the cache gets, searched for session keys."""

from __future__ import annotations

import base64
import hashlib

from django.core.cache import caches
from django.db import OperationalError, connection
from django.db.transaction import TransactionManagementError
from redis.exceptions import RedisError

from django_secure_sessions import crypto
from tests.emptying import filled_tables

# Every key that was issued since somebody cleared this list.
issued: list[str] = []

# What a test took away, or broke, holds nothing afterwards: a server that is gone, a
# transaction that failed. A client of Redis Cluster warns of its own arguments then.
UNREADABLE = (
    OperationalError,
    TransactionManagementError,
    RedisError,
    DeprecationWarning,
)

_issue = crypto.new_session_key


def listen():
    """From now on note in `issued` every session key of this process."""

    def noted():
        key = _issue()
        issued.append(key)
        return key

    crypto.new_session_key = noted


def traces(key):
    """Return the forms in which a key must not be found."""
    raw = key.encode()
    return {
        "random part": raw[: crypto.RANDOM_LENGTH],
        "sha256": hashlib.sha256(raw).hexdigest().encode(),
        "base64": base64.b64encode(raw).rstrip(b"="),
        "hex": raw.hex().encode(),
    }


def found_in(blob, keys):
    return [
        form for key in keys for form, trace in traces(key).items() if trace in blob
    ]


def database_dump():
    """Return every value of every table, one after the other, as bytes."""
    pieces = []
    with connection.cursor() as cursor:
        for name in filled_tables(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(name)}")  # noqa: S608
            for row in cursor.fetchall():
                for value in row:
                    binary = isinstance(value, (bytes, memoryview, bytearray))
                    pieces.append(bytes(value) if binary else str(value).encode())
    return b"\n".join(pieces)


def cache_dump():
    """Return the keys and values of every cache of the site in use, as bytes."""
    pieces = []
    for cache in caches.all(initialized_only=True):
        if hasattr(cache, "_expire_info"):
            pieces += [repr(item).encode() for item in cache._cache.items()]
        elif hasattr(cache, "client"):
            pieces += _redis_items(cache)
    return b"\n".join(pieces)


def _redis_items(cache):
    client = cache.client.get_client()
    for name in client.scan_iter(f"{cache.key_prefix}*"):
        yield name
        yield client.get(name) if client.type(name) == b"string" else b""


def search():
    """Return where one of the keys in `issued` is found, and in which form."""
    found = {"database": _searched(database_dump), "cache": _searched(cache_dump)}
    return {place: forms for place, forms in found.items() if forms}


def _searched(dump):
    try:
        return found_in(dump(), issued)
    except UNREADABLE:
        return []
