"""Checks that whoever must have a second factor can set one up."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error
from django.urls import NoReverseMatch, reverse

from django_secure_sessions.mfa.factors import can_be_added
from django_secure_sessions.models import Authenticator

from .values import written


def check_enrolment(**kwargs: Any) -> list[CheckMessage]:
    """E301, E302: a second factor is demanded, and there is no way to set it up."""
    if not written().get("MFA_REQUIRED_FOR"):
        return []
    found: list[CheckMessage] = []
    if not can_be_added(Authenticator.Type.TOTP):
        found.append(
            Error(
                "SECURE_SESSIONS['MFA_REQUIRED_FOR'] demands a second factor, and the "
                "packages to set one up are not installed.",
                hint="pip install 'django-secure-sessions[mfa]'",
                id="secure_sessions.E301",
            )
        )
    try:
        reverse("secure_sessions:mfa_totp_add")
    except NoReverseMatch:
        found.append(
            Error(
                "SECURE_SESSIONS['MFA_REQUIRED_FOR'] demands a second factor, and the "
                "pages to set one up have no address.",
                hint="path('account/', include('django_secure_sessions.urls'))",
                id="secure_sessions.E302",
            )
        )
    return found
