"""What tests of the second factor share: users with factors, and their codes."""

from __future__ import annotations

from datetime import datetime, timezone

import pyotp
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone as django_timezone

from django_secure_sessions.backends.db import SessionStore
from django_secure_sessions.mfa import pending, recovery
from django_secure_sessions.models import Authenticator
from django_secure_sessions.testing import enrol_totp

BACKEND = "django.contrib.auth.backends.ModelBackend"
# The middle of a 30 second step.
NOON = datetime(2026, 11, 2, 12, 0, 15, tzinfo=timezone.utc)


def code_at(secret: str, moment: datetime, offset: int = 0) -> str:
    """Return the code an app shows at a moment, or some steps beside it."""
    return str(pyotp.TOTP(secret).at(moment, counter_offset=offset))


def wrong_code(secret: str, moment: datetime) -> str:
    """Return six digits that no step near this moment shows."""
    near = {code_at(secret, moment, offset) for offset in range(-3, 4)}
    return next(text for number in range(10) if (text := f"{number:06d}") not in near)


def give_totp(user, **values) -> str:
    """Give a user an authenticator app and return its secret."""
    app = enrol_totp(user, name="phone")
    if values:
        Authenticator.objects.filter(user=user).update(**values)
    return app.secret


def give_recovery_codes(user) -> list[str]:
    """Give a user ten recovery codes and return them."""
    return recovery.generate(user, django_timezone.now())


def pending_session(user) -> SessionStore:
    """Return a stored session with a half-done login of ``user``."""
    session = SessionStore()
    pending.begin(session, user, BACKEND, django_timezone.now())
    session.save()
    return session


def reloaded(session: SessionBase) -> SessionStore:
    """Return a session as the next request with its key finds it."""
    return SessionStore(session.session_key)
