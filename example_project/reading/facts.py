"""The facts of a session that its owner may see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django_secure_sessions.conf import conf
from django_secure_sessions.devices import device_label
from django_secure_sessions.http import SecureRequest
from django_secure_sessions.lifecycle import live_sessions


@dataclass(frozen=True)
class SessionFacts:
    """One session of a user. Times are UTC; ``None`` means without limit."""

    id: UUID
    is_current: bool
    device: str
    ip_address: str | None
    created_at: datetime
    last_activity: datetime
    idle_expires_at: datetime | None
    absolute_expires_at: datetime | None
    aal: int

    def as_json(self) -> dict[str, Any]:
        """Return the facts with times in ISO 8601."""
        return {
            "id": str(self.id),
            "device": self.device,
            "ip_address": self.ip_address,
            "created_at": self.created_at.isoformat(),
            "last_activity": self.last_activity.isoformat(),
            "idle_expires_at": _iso(self.idle_expires_at),
            "absolute_expires_at": _iso(self.absolute_expires_at),
            "aal": self.aal,
        }


def session_facts(request: SecureRequest) -> list[SessionFacts]:
    """Return the live sessions of ``request.user``, the current one first."""
    rules = conf.rules_for(request.user)
    current = request.session.public_id
    found = [
        SessionFacts(
            id=session.id,
            is_current=session.id == current,
            device=device_label(session.user_agent),
            ip_address=session.ip_address,
            created_at=session.created_at,
            last_activity=session.last_activity,
            idle_expires_at=_after(session.last_activity, rules.idle),
            absolute_expires_at=_after(
                session.authenticated_at or session.created_at, rules.absolute
            ),
            aal=session.aal,
        )
        for session in live_sessions(request.user)
    ]
    return sorted(found, key=lambda facts: not facts.is_current)


def _after(start: datetime, limit: timedelta | None) -> datetime | None:
    return None if limit is None else start + limit


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
