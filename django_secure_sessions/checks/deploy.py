"""Checks of what is fine at a desk and not on the internet: ``check --deploy``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning


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
