"""Settings of the test suite; the environment chooses database and Redis.

DATABASE_URL      default: a SQLite file under .cache
REDIS_URL         default: redis://127.0.0.1:6379/0
TEST_DB_SUFFIX    keeps runs that share a server or a folder apart
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".cache" / "tests"
SCRATCH.mkdir(parents=True, exist_ok=True)

# A database name; what tox calls an environment is not one.
SUFFIX = re.sub(r"\W", "_", os.environ.get("TEST_DB_SUFFIX", ""))


def database(url: str) -> dict[str, Any]:
    """Return the DATABASES entry for `url`, made fit for tests with threads."""
    entry: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=0))
    name = f"test_secure_sessions{'_' * bool(SUFFIX)}{SUFFIX}"
    entry["TEST"] = {"NAME": name}
    if entry["ENGINE"].endswith("sqlite3"):
        # A file, since threads can't share a database in memory; IMMEDIATE, as
        # Django's documentation advises, so that a writer waits at BEGIN instead
        # of failing at its first write; no fsync, since no test outlives a crash.
        entry["TEST"]["NAME"] = str(SCRATCH / f"{name}.sqlite3")
        entry["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,  # seconds
            "init_command": "PRAGMA synchronous=OFF",
        }
    if entry["ENGINE"].endswith("postgresql"):
        # No wait for the disk, for the same reason.
        entry.setdefault("OPTIONS", {})["options"] = "-c synchronous_commit=off"
    return entry


def answers(url: str) -> bool:
    """Return whether something accepts connections at the address in `url`."""
    parts = urlsplit(url)
    try:
        address = (parts.hostname or "127.0.0.1", parts.port or 6379)
        socket.create_connection(address, timeout=0.5).close()
    except OSError:
        return False
    return True


SECRET_KEY = "a-key-for-tests-that-protects-nothing"
DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {
    "default": database(
        os.environ.get("DATABASE_URL") or f"sqlite:///{SCRATCH / 'main.sqlite3'}"
    )
}

REDIS_URL = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"
REDIS_ANSWERS = answers(REDIS_URL)
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # The same alias either way: only what needs Redis itself is skipped without it.
    "sessions": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        # Apart from other runs, and from other workers of this one.
        "KEY_PREFIX": f"secure_sessions_{SUFFIX}"
        f"_{os.environ.get('PYTEST_XDIST_WORKER', '')}",
        "OPTIONS": {
            "SERIALIZER": "django_secure_sessions.contrib.redis.BytesSerializer",
            "SOCKET_TIMEOUT": 2,
            "SOCKET_CONNECT_TIMEOUT": 2,
        },
    }
    if REDIS_ANSWERS
    else {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "sessions",
    },
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    # A site drops this one. It stays here since Django's own session tests, and
    # the import of sessions from it, need its model.
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_secure_sessions",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django_secure_sessions.middleware.SecureSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

SESSION_ENGINE = "django_secure_sessions.backends.db"
SESSION_CACHE_ALIAS = "sessions"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# Tests log in often and guess no passwords.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = []

# Django 6.1 and later warn of mail without it; the test runner keeps all mail here.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
