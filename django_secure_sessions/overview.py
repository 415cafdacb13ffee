"""What people are shown about sessions, in their words. Pages and JSON say the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from . import lifecycle, policy
from .backends.base import TrackedSession
from .conf import conf
from .devices import device_label, location
from .models import SessionEvent
from .state import EndReason, EventKind, Rules, Stamps

# Events of a user's own history, at most.
HISTORY_LENGTH = 20

REASON_TEXTS: dict[str, str | Promise] = {
    EndReason.LOGOUT.value: _("Signed out"),
    EndReason.IDLE.value: _("Inactive for too long"),
    EndReason.ABSOLUTE.value: _("Signed in for too long"),
    EndReason.EXPIRED.value: _("Expired"),
    EndReason.EVICTED.value: _("Replaced by a newer sign-in"),
    EndReason.REVOKED.value: _("Revoked"),
    EndReason.PASSWORD_CHANGED.value: _("Password changed"),
    EndReason.USER_DEACTIVATED.value: _("Account deactivated"),
    EndReason.USER_DELETED.value: _("Account deleted"),
    EndReason.BINDING.value: _("Connection or browser changed"),
    EndReason.FLUSHED.value: _("Ended by the site"),
    EndReason.MFA_RESET.value: _("Second factor reset"),
    EndReason.MFA_CHANGED.value: _("Second factor changed"),
}

EVENT_TEXTS: dict[str, str | Promise] = {
    **REASON_TEXTS,
    EventKind.LOGIN.value: _("Signed in"),
    EventKind.LOGIN_FAILED.value: _("Sign-in failed"),
    EventKind.LIMIT_REJECTED.value: _("Sign-in refused: too many sessions"),
    EventKind.CLIENT_CHANGED.value: _("Used from another connection or browser"),
    EventKind.MFA_REQUIRED.value: _("Second factor asked for"),
    EventKind.MFA_ENROLLED.value: _("Second factor added"),
    EventKind.MFA_REMOVED.value: _("Second factor removed"),
    EventKind.MFA_RENAMED.value: _("Second factor renamed"),
    EventKind.MFA_VERIFIED.value: _("Second factor accepted"),
    EventKind.MFA_FAILED.value: _("Proof of identity refused"),
    EventKind.MFA_LOCKED.value: _("Too many failed proofs"),
    EventKind.MFA_DISABLED.value: _("Second factor disabled"),
    EventKind.RECOVERY_USED.value: _("Recovery code used"),
    EventKind.RECOVERY_REGENERATED.value: _("Recovery codes replaced"),
    EventKind.DEVICE_TRUSTED.value: _("Device trusted"),
    EventKind.DEVICE_FORGOTTEN.value: _("Device no longer trusted"),
    EventKind.STEP_UP.value: _("Identity confirmed"),
}


def reason_text(reason: str) -> str:
    """Return why a session ended, in a few words, translated."""
    return str(REASON_TEXTS.get(reason, reason))


def event_text(kind: str) -> str:
    """Return what happened, in a few words, translated."""
    return str(EVENT_TEXTS.get(kind, kind))


class Judged(Protocol):
    """What a deadline follows from: a row of the table, in whichever form."""

    @property
    def user_id(self) -> Any: ...
    @property
    def authenticated_at(self) -> datetime | None: ...
    @property
    def last_activity(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def end_reason(self) -> str: ...
    @property
    def idle_seconds(self) -> int | None: ...
    @property
    def absolute_seconds(self) -> int | None: ...


@dataclass(frozen=True)
class Standing:
    """
    How a session stands: live until ``deadline``, or over since then, and why.

    ``idle_at`` and ``absolute_at`` are the two deadlines apart, ``None`` for no
    limit.
    """

    is_live: bool
    deadline: datetime
    reason: EndReason | None
    idle_at: datetime | None
    absolute_at: datetime | None


def standing(session: Judged, now: datetime) -> Standing:
    """Judge a session as the engine would, by its true deadlines."""
    rules: Rules = TrackedSession.rules_of(session)  # type: ignore[arg-type]
    stamps = Stamps(
        user_id=session.user_id,
        authenticated_at=session.authenticated_at,
        last_activity=session.last_activity,
        expires_at=session.expires_at,
        ended_at=session.ended_at,
        end_reason=session.end_reason,
    )
    verdict = policy.evaluate(stamps, rules, now)
    since = session.authenticated_at
    return Standing(
        is_live=verdict.live,
        deadline=verdict.deadline,
        reason=verdict.reason,
        idle_at=_after(session.last_activity, rules.idle),
        absolute_at=_after(since, rules.absolute) if since else None,
    )


@dataclass(frozen=True)
class OwnSession:
    """A live session as its owner sees it. No key, no digest, nothing of the data."""

    id: UUID
    is_current: bool
    is_impersonated: bool
    device: str
    ip_address: str | None
    location: str
    signed_in_at: datetime
    last_activity: datetime
    expires_at: datetime
    aal: int


def is_recent(authenticated_at: datetime | None, now: datetime) -> bool:
    """Whether a proof of identity is so fresh that no other is asked for."""
    return authenticated_at is not None and now - authenticated_at < conf.recent_auth


def own_sessions(user: Any, current: UUID | None, now: datetime) -> list[OwnSession]:
    """Return a user's live sessions: the current one, then the latest active."""
    found = [
        OwnSession(
            id=row.id,
            is_current=row.id == current,
            is_impersonated=bool(row.impersonator),
            device=device_label(row.user_agent),
            ip_address=row.ip_address,
            location=location(row.ip_address),
            signed_in_at=row.authenticated_at or row.created_at,
            last_activity=row.last_activity,
            expires_at=standing(row, now).deadline,
            aal=row.aal,
        )
        for row in lifecycle.live_sessions(user, now)
    ]
    return sorted(found, key=lambda session: not session.is_current)


@dataclass(frozen=True)
class PastEvent:
    """Something that happened to a user's sessions, for that user."""

    at: datetime
    text: str
    device: str
    ip_address: str | None


def recent_events(user: Any) -> list[PastEvent]:
    """Return the latest of what happened to a user, the newest first."""
    found = SessionEvent.objects.filter(user=user).order_by("-at", "-pk")
    return [
        PastEvent(
            at=event.at,
            text=event_text(event.kind),
            device=device_label(event.user_agent) if event.user_agent else "",
            ip_address=event.ip_address,
        )
        for event in found[:HISTORY_LENGTH]
    ]


def _after(start: datetime, limit: timedelta | None) -> datetime | None:
    return None if limit is None else start + limit
