"""Where the example site keeps its rows and its cached sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# A login counts sessions, then writes. Under SQLite's default mode two logins at
# once may both hold a read lock and fail to upgrade it; IMMEDIATE takes the write
# lock first. WAL lets readers go on meanwhile.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,  # seconds
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def database(url: str, default_file: Path) -> dict[str, Any]:
    """
    Return the entry for ``DATABASES`` that ``url`` names.

    An empty ``url`` is SQLite in ``default_file``. Any other needs
    dj-database-url, e.g. ``postgres://user@127.0.0.1:5432/tidemark``.
    """
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": default_file,
            "OPTIONS": SQLITE_OPTIONS,
        }

    import dj_database_url

    found: dict[str, Any] = dict(dj_database_url.parse(url, conn_health_checks=True))
    if found["ENGINE"] == "django.db.backends.sqlite3":
        found["OPTIONS"] = SQLITE_OPTIONS
    else:
        # Kept open between requests, as a real site would.
        found["CONN_MAX_AGE"] = 60
    return found


def caches(redis_url: str) -> dict[str, dict[str, Any]]:
    """Return ``CACHES``: local memory, and with Redis an alias for sessions."""
    found: dict[str, dict[str, Any]] = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    }
    if redis_url:
        found["sessions"] = {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": redis_url,
            "KEY_PREFIX": "tidemark",
            "OPTIONS": {
                # What comes back from Redis is bytes, and stays bytes: an entry
                # somebody else wrote there must not be unpickled.
                "SERIALIZER": "django_secure_sessions.contrib.redis.BytesSerializer",
                # Seconds. Without Redis the sessions go on from the database.
                "SOCKET_CONNECT_TIMEOUT": 1,
                "SOCKET_TIMEOUT": 1,
            },
        }
    return found
