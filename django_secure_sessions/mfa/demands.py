"""What a session lacks for what a view demands, decided once for every kind of view."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from django_secure_sessions.conf import conf
from django_secure_sessions.state import Demand

from . import devices, factors


def below(session: Any, user: Any, level: int) -> Demand | None:
    """Return what a session of ``user`` lacks for this assurance level."""
    if session.aal >= level:
        return None
    if session.impersonator:
        return Demand.OWN_SESSION
    return Demand.FACTOR if factors.has_factor(user.pk) else Demand.ENROLMENT


def stale(session: Any, minutes: float | None = None) -> Demand | None:
    """Return what a session lacks for a proof of identity in the last ``minutes``."""
    if session.impersonator:
        return Demand.OWN_SESSION
    age = conf.recent_auth if minutes is None else timedelta(minutes=minutes)
    shown_at = session.authenticated_at
    is_recent = shown_at is not None and timezone.now() - shown_at < age
    # A session that came from another engine has shown nothing to this one.
    if is_recent and session.amr and devices.METHOD not in session.amr:
        return None
    return Demand.RECENT
