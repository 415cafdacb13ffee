"""What people are shown about sessions, in their words. Pages and JSON say the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from . import lifecycle, policy
from .backends.base import TrackedSession
from .conf import conf
from .devices import device_label, location
from .models import SessionEvent
from .state import EndReason, Rules, Stamped, Stamps

# Events of a user's own history, at most.
HISTORY_LENGTH = 20


class Judged(Stamped, Protocol):
    """What a deadline follows from: a row of the table, in whichever form."""

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


def time_left(session: Judged, now: datetime) -> dict[str, Any]:
    """Return what a script is told of its session's deadlines, in seconds."""
    found = standing(session, now)
    return {
        "expires_at": found.deadline.isoformat(),
        "remaining": _seconds(found.deadline, now),
        "idle_remaining": _seconds(found.idle_at, now),
        "absolute_remaining": _seconds(found.absolute_at, now),
    }


def _seconds(moment: datetime | None, now: datetime) -> int | None:
    """Whole seconds until then, rounded down: a warning may be early, never late."""
    return None if moment is None else max(int((moment - now).total_seconds()), 0)


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

    def as_json(self) -> dict[str, Any]:
        """Return what a program is told of it, times in ISO 8601."""
        return {
            "id": str(self.id),
            "current": self.is_current,
            "impersonated": self.is_impersonated,
            "device": self.device,
            "ip_address": self.ip_address,
            "location": self.location,
            "signed_in_at": self.signed_in_at.isoformat(),
            "last_activity": self.last_activity.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "aal": self.aal,
        }


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
class Choice:
    """The sessions that count for a user's limit, ``least`` of which have to end."""

    sessions: list[OwnSession]
    limit: int | None
    least: int

    def as_json(self) -> dict[str, Any]:
        """Return what a program chooses from."""
        return {
            "limit": self.limit,
            "end_at_least": self.least,
            "choose": [session.as_json() for session in self.sessions],
        }


def choice(user: Any, now: datetime) -> Choice:
    """Return what somebody chooses from who signs in beside these sessions."""
    limit = conf.rules_for(user).max_sessions
    found = own_sessions(user, None, now)
    counted = [session for session in found if not session.is_impersonated]
    least = 0 if limit is None else max(len(counted) + 1 - limit, 0)
    return Choice(counted, limit, least)


@dataclass(frozen=True)
class PastEvent:
    """
    Something that happened to a user's sessions, for that user.

    Of an end, device and address are those of the session: the reader wants to know
    what was signed out. The audit trail knows who asked.
    """

    at: datetime
    text: str
    device: str
    ip_address: str | None


def recent_events(user: Any) -> list[PastEvent]:
    """Return the latest of what happened to a user, the newest first."""
    found = SessionEvent.objects.filter(user=user).order_by("-at", "-pk")
    return [_past(event) for event in found[:HISTORY_LENGTH]]


def _past(event: SessionEvent) -> PastEvent:
    client = event.detail.get("session_client") or {
        "ip_address": event.ip_address,
        "user_agent": event.user_agent,
    }
    agent = client["user_agent"]
    return PastEvent(
        at=event.at,
        text=event.text,
        device=device_label(agent) if agent else "",
        ip_address=client["ip_address"],
    )


def _after(start: datetime, limit: timedelta | None) -> datetime | None:
    return None if limit is None else start + limit
