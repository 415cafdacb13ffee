"""Checks of what is fine at a desk and not on the internet: ``check --deploy``."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.db import connections

from django_secure_sessions.backends import rows

from .values import written

# The release of each line that has all security fixes known to this version.
PATCHED = {(5, 2): (5, 2, 19), (6, 0): (6, 0, 10), (6, 1): (6, 1, 3)}


def check_cookie_flags(**kwargs: Any) -> list[CheckMessage]:
    """W103 to W105: a session cookie that networks, scripts or other sites get at."""
    # Django's own checks of these look for its app and middleware, not for ours.
    found: list[CheckMessage] = []
    if not settings.SESSION_COOKIE_SECURE:
        found.append(
            Warning(
                "The session cookie is sent over plain HTTP too.",
                hint="SESSION_COOKIE_SECURE = True (SP 800-63B-4, 5.1.1)",
                id="secure_sessions.W103",
            )
        )
    if not settings.SESSION_COOKIE_HTTPONLY:
        found.append(
            Warning(
                "Scripts can read the session cookie.",
                hint="SESSION_COOKIE_HTTPONLY = True (ASVS 3.3.4)",
                id="secure_sessions.W104",
            )
        )
    if str(settings.SESSION_COOKIE_SAMESITE).lower() not in ("lax", "strict"):
        found.append(
            Warning(
                "Other sites can make browsers send the session cookie.",
                hint="SESSION_COOKIE_SAMESITE = 'Lax' or 'Strict' (ASVS 3.3.2)",
                id="secure_sessions.W105",
            )
        )
    return found


def check_cookie_scope(**kwargs: Any) -> list[CheckMessage]:
    """W106, W107: a session cookie that neighbour domains receive or can plant."""
    domain = settings.SESSION_COOKIE_DOMAIN
    if domain:
        return [
            Warning(
                f"The session cookie is sent to every host under {domain!r}: the "
                "weakest of them can take any session.",
                hint="SESSION_COOKIE_DOMAIN = None",
                id="secure_sessions.W106",
            )
        ]
    # One that is misspelt has an error of its own.
    if settings.SESSION_COOKIE_NAME.lower().startswith("__host-"):
        return []
    return [
        Warning(
            "A neighbour domain can plant a session cookie of its own.",
            hint=(
                f"SESSION_COOKIE_NAME = '__Host-{settings.SESSION_COOKIE_NAME}' "
                "(ASVS 3.3.3)"
            ),
            id="secure_sessions.W107",
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
