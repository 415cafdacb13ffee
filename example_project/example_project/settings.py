"""
Settings of Tidemark, the example site.

Out of the box it is a demo: SQLite, ``DEBUG`` on, a published secret key. These
environment variables make it something else:

``DEBUG``         ``0`` turns debug off; cookies are then sent over HTTPS only
``SECRET_KEY``    required as soon as ``DEBUG`` is off
``ALLOWED_HOSTS`` comma separated, besides localhost
``DATABASE_URL``  e.g. ``postgres://postgres@127.0.0.1:5432/tidemark``
``REDIS_URL``     e.g. ``redis://127.0.0.1:6379/0``; sessions are then cached there
``LIMIT_STRATEGY`` what a fourth sign-in does, e.g. ``ask``
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

from .databases import caches, database

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = os.environ.get("DEBUG", "1").lower() not in {"0", "false", "no", "off"}

# DEMO ONLY. It is printed in a public repository, so it protects nothing.
DEMO_SECRET_KEY = "demo-only-never-deploy-this-key-0123456789-abcdefghijklmnop"  # noqa: S105
SECRET_KEY = os.environ.get("SECRET_KEY", DEMO_SECRET_KEY if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("Set SECRET_KEY: the demo key works with DEBUG only.")

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS += filter(None, os.environ.get("ALLOWED_HOSTS", "").split(","))

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    # Before the package, whose pages it frames with a template of the same name.
    "reading",
    "django_secure_sessions",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "reading.middleware.ContentSecurityPolicyMiddleware",
    "django_secure_sessions.middleware.SecureSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

REDIS_URL = os.environ.get("REDIS_URL", "")
SESSION_ENGINE = "django_secure_sessions.backends.db"
if REDIS_URL:
    SESSION_ENGINE = "django_secure_sessions.backends.cached_db"
    SESSION_CACHE_ALIAS = "sessions"

SECURE_SESSIONS = {
    "MAX_SESSIONS": 3,
    "LIMIT_STRATEGY": os.environ.get("LIMIT_STRATEGY", "evict_oldest"),
    "IDLE_TIMEOUT": timedelta(minutes=30),
    "ABSOLUTE_TIMEOUT": timedelta(hours=12),
    "NEW_DEVICE": "notify",
    "API_PREFIXES": ("/api/", "/account/api/"),
    # The site's name in an authenticator app, and over the recovery codes.
    "MFA_ISSUER": "Tidemark",
}

DATABASES = {
    "default": database(os.environ.get("DATABASE_URL", ""), BASE_DIR / "db.sqlite3")
}
CACHES = caches(REDIS_URL)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
ASGI_APPLICATION = "example_project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "reading.context_processors.preferences",
            ]
        },
    }
]

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static_root"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
# One way to write a time, on our pages, the package's and the admin's.
FORMAT_MODULE_PATH = ["example_project.formats"]

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "profile"

AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if not DEBUG:
    # The prefix makes a browser refuse the cookie from a sibling domain.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds())
    # Both speak for the whole domain, which is not this site's to decide.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

CONTENT_SECURITY_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}

# Notices about new devices and second factors; the demo prints them in the terminal.
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.console.EmailBackend"}}
else:
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "django_secure_sessions": {"level": os.environ.get("LOG_LEVEL", "INFO")},
    },
}
