"""Checks of what stands around the sessions: proxies, databases, Django itself."""

from __future__ import annotations

from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections, router

from django_secure_sessions.backends import rows

from .values import written

# The release of each line that has all security fixes known to this version.
PATCHED = {(5, 2): (5, 2, 19), (6, 0): (6, 0, 10), (6, 1): (6, 1, 3)}


def check_databases(**kwargs: Any) -> list[CheckMessage]:
    """E012: sessions are kept apart from their users, whom they are joined with."""
    home = router.db_for_write(get_user_model())
    models = apps.get_app_config("django_secure_sessions").get_models()
    places = {model.__name__: router.db_for_write(model) for model in models}
    strays = {name: place for name, place in places.items() if place != home}
    if not strays:
        return []
    told = ", ".join(f"{name} in {place!r}" for name, place in sorted(strays.items()))
    return [
        Error(
            f"DATABASE_ROUTERS keeps users in {home!r}, but {told}. No statement can "
            "join the two.",
            hint=(
                "Route the app 'django_secure_sessions' to the database of "
                f"AUTH_USER_MODEL, {home!r}."
            ),
            id="secure_sessions.E012",
        )
    ]


def check_proxies(**kwargs: Any) -> list[CheckMessage]:
    """W108: there is a proxy, and every session seems to come from it."""
    chosen = written()
    if chosen.get("TRUSTED_PROXIES") or chosen.get("CLIENT_IP"):
        return []
    signs = {
        "SECURE_PROXY_SSL_HEADER": settings.SECURE_PROXY_SSL_HEADER,
        "USE_X_FORWARDED_HOST": settings.USE_X_FORWARDED_HOST,
        "USE_X_FORWARDED_PORT": settings.USE_X_FORWARDED_PORT,
        "SECURE_SESSIONS['CLIENT_IP_HEADER']": "CLIENT_IP_HEADER" in chosen,
    }
    set_ones = [name for name, is_set in signs.items() if is_set]
    if not set_ones:
        return []
    return [
        Warning(
            f"{set_ones[0]} speaks of a proxy, but none is trusted: every session "
            "gets the proxy's address.",
            hint=(
                "Set SECURE_SESSIONS['TRUSTED_PROXIES'] to the number of proxies, "
                "or to their networks."
            ),
            id="secure_sessions.W108",
        )
    ]


def check_sqlite(**kwargs: Any) -> list[CheckMessage]:
    """W109: on SQLite parallel logins fail instead of waiting for each other."""
    connection = connections[rows.alias()]
    options = connection.settings_dict.get("OPTIONS", {})
    mode = str(options.get("transaction_mode") or "").upper()
    if connection.vendor != "sqlite" or mode in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    if connection.is_in_memory_db():  # type: ignore[attr-defined]
        return []  # what a test runner makes: nobody else waits there
    return [
        Warning(
            "On SQLite, requests that write at the same time may fail with "
            "'database is locked'.",
            hint=(
                f"DATABASES[{connection.alias!r}]['OPTIONS'] = "
                "{'transaction_mode': 'IMMEDIATE'}"
            ),
            id="secure_sessions.W109",
        )
    ]


def check_django_version(**kwargs: Any) -> list[CheckMessage]:
    """W110: a Django with known holes, some of them in sessions and caching."""
    patched = PATCHED.get(django.VERSION[:2])
    if patched is None or django.VERSION[:3] >= patched:
        return []
    wanted = ".".join(map(str, patched))
    return [
        Warning(
            f"Django {django.get_version()} lacks security fixes.",
            hint=f"Install Django {wanted} or newer.",
            id="secure_sessions.W110",
        )
    ]
