"""
A login with nothing left to prove that waits for room among its user's sessions.

Under the strategy ``ask`` the user chooses which of them end for it. It is a
half-done login like any: nobody is authenticated before the choice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

from django_secure_sessions import lifecycle
from django_secure_sessions.backends import rows
from django_secure_sessions.backends.base import TrackedSession
from django_secure_sessions.exceptions import NothingPending
from django_secure_sessions.models import Session
from django_secure_sessions.state import EndReason

from . import devices, factors, pending
from .pending import Pending

# Ends by which somebody shuts out whoever has the user's password or code.
SHUTTING_OUT = (EndReason.REVOKED, EndReason.MFA_RESET, EndReason.MFA_CHANGED)


def suspend(session: TrackedSession, now: datetime) -> None:
    """
    Turn a login that the limit refused into one that waits for room, and store it.

    Raise ``SessionEnded`` when the session ended meanwhile.
    """
    wait(session, pending.take_out(session, now), now)


def wait(session: TrackedSession, half: Pending, now: datetime) -> Pending:
    """
    Let a half-done login wait for room, from now on; return it as it is then.

    Stored at once and under a new key: whoever knew the one before had proved less.
    """
    waiting = replace(half, purpose=pending.ROOM, started_at=now.timestamp())
    pending.store(session, waiting)
    if session.is_stored:
        session.save()
    else:
        session.create()
    session.suspended = False
    return waiting


def find(session: TrackedSession, now: datetime) -> tuple[Pending, Any]:
    """
    Return the login that waits for room, and its user.

    Raise ``NothingPending`` as ``pending.find`` does, and for one that was shut out:
    somebody revoked sessions of the user and could not see this one, or there is a
    second factor now that it has not shown.
    """
    half, user = pending.find(session, now, pending.ROOM)
    if _owes_factor(half, user) or _was_shut_out(half, user):
        pending.drop(session)
        raise NothingPending
    return half, user


def make(
    session: TrackedSession, ending: Collection[UUID], now: datetime
) -> tuple[Pending, Any]:
    """
    End these sessions of the user and finish the login: both, or neither.

    Ids that are of no live session of the user count for nothing. Return what waited,
    and the user. Raise ``NothingPending``, or ``SessionLimitReached`` when these are
    too few, be it since others took the room meanwhile.
    """
    half, user = find(session, now)
    pending.complete(session, half, user, ending)
    lifecycle.distrust([user.pk], ending, now)
    return half, user


def _owes_factor(half: Pending, user: Any) -> bool:
    if half.aal >= 2 or devices.METHOD in half.amr.split():
        return False
    return factors.has_factor(user.pk)


def _was_shut_out(half: Pending, user: Any) -> bool:
    since = datetime.fromtimestamp(half.started_at, timezone.utc)
    ended = Session._base_manager.using(rows.alias()).filter(
        user_id=user.pk, ended_at__gt=since, end_reason__in=SHUTTING_OUT
    )
    return ended.exists()
