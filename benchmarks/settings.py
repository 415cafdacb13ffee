"""
Settings of the benchmarks: one site that can use any of the engines compared.

POSTGRESQL_URL    server and role; a database of our own is created on it and dropped
REDIS_URL         server and database number; only keys under our prefix are touched
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import dj_database_url

POSTGRESQL_URL = (
    os.environ.get("POSTGRESQL_URL") or "postgres://postgres@127.0.0.1:5432/postgres"
)
REDIS_URL = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"

# Runs that share a server must not share a database.
OWN = "benchmark_secure_sessions" + os.environ.get("TEST_DB_SUFFIX", "")

SECRET_KEY = "a-key-for-benchmarks-that-protects-nothing"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING_CONFIG = None

# Persistent connections for everybody: opening one costs more than any session.
DATABASES = {
    "default": {
        **dj_database_url.parse(POSTGRESQL_URL, conn_max_age=None),
        "NAME": OWN,
    },
}

# One client library and one server for all. Django's engines get their pickles,
# ours its bytes.
_REDIS = {
    "BACKEND": "django_redis.cache.RedisCache",
    "LOCATION": REDIS_URL,
    "KEY_PREFIX": OWN,
}
CACHES = {
    "default": _REDIS,
    "sealed": {
        **_REDIS,
        "OPTIONS": {
            "SERIALIZER": "django_secure_sessions.contrib.redis.BytesSerializer"
        },
    },
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_secure_sessions",
    *(app for app in ("user_sessions", "qsessions") if find_spec(app)),
]
MIDDLEWARE: list[str] = []
# The other engines do not look for new devices either.
SECURE_SESSIONS = {"NEW_DEVICE": "off"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A server or a command in a process of its own uses one engine, which its parent
# names: see Engine.environment.
if "BENCHMARK_ENGINE" in os.environ:
    SESSION_ENGINE = os.environ["BENCHMARK_ENGINE"]
    SESSION_CACHE_ALIAS = os.environ["BENCHMARK_CACHE"]
    MIDDLEWARE = [
        os.environ["BENCHMARK_MIDDLEWARE"],
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    ROOT_URLCONF = "benchmarks.site"
# Under ASGI each request has a thread of its own, so connections must be shared.
if POOL := int(os.environ.get("BENCHMARK_POOL") or 0):
    DATABASES["default"] |= {
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": POOL}},
    }
