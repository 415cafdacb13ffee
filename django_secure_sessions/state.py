"""The nouns: frozen, typed values that cross from one room to another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple, Protocol
from uuid import UUID

# Set on a view by ``decorators.passive``, read by the middleware.
PASSIVE = "secure_sessions_passive"
# Set on a view that speaks JSON only, whatever the client says it prefers.
SPEAKS_JSON = "secure_sessions_speaks_json"

# Set on a view that somebody must reach who has yet to set up a second factor.
ENROLMENT = "secure_sessions_enrolment"


class EndReason(str, Enum):
    """Why a session ended. The value is stored, sent in JSON and put in URLs."""

    LOGOUT = "logout"
    IDLE = "idle"
    ABSOLUTE = "absolute"
    EXPIRED = "expired"
    EVICTED = "evicted"
    REVOKED = "revoked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason, not a password
    USER_DEACTIVATED = "user_deactivated"
    USER_DELETED = "user_deleted"
    BINDING = "binding"
    FLUSHED = "flushed"
    MFA_RESET = "mfa_reset"
    MFA_CHANGED = "mfa_changed"

    @property
    def is_expiry(self) -> bool:
        """Whether time alone ended the session."""
        return self in (EndReason.IDLE, EndReason.ABSOLUTE, EndReason.EXPIRED)

    @property
    def is_voluntary(self) -> bool:
        """Whether the user, or the code serving the user, asked for the end."""
        return self in (EndReason.LOGOUT, EndReason.FLUSHED)


class EventKind(str, Enum):
    """What the audit trail records."""

    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    NEW_DEVICE = "new_device"
    LOGOUT = "logout"
    IDLE = "idle"
    ABSOLUTE = "absolute"
    EXPIRED = "expired"
    EVICTED = "evicted"
    REVOKED = "revoked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind, not a password
    USER_DEACTIVATED = "user_deactivated"
    USER_DELETED = "user_deleted"
    BINDING = "binding"
    FLUSHED = "flushed"
    LIMIT_REJECTED = "limit_rejected"
    LIMIT_ASKED = "limit_asked"
    CLIENT_CHANGED = "client_changed"
    MFA_REQUIRED = "mfa_required"
    MFA_ENROLLED = "mfa_enrolled"
    MFA_REMOVED = "mfa_removed"
    MFA_RENAMED = "mfa_renamed"
    MFA_VERIFIED = "mfa_verified"
    MFA_FAILED = "mfa_failed"
    MFA_LOCKED = "mfa_locked"
    MFA_DISABLED = "mfa_disabled"
    MFA_RESET = "mfa_reset"
    MFA_CHANGED = "mfa_changed"
    RECOVERY_USED = "recovery_used"
    RECOVERY_REGENERATED = "recovery_regenerated"
    DEVICE_TRUSTED = "device_trusted"
    DEVICE_FORGOTTEN = "device_forgotten"
    STEP_UP = "step_up"


class Demand(str, Enum):
    """What a session lacks for a view. The value is the ``error`` of the refusal."""

    FACTOR = "mfa_required"
    ENROLMENT = "mfa_enrolment_required"
    RECENT = "reauthentication_required"
    # Somebody else acts as the user, which nothing they show can mend.
    OWN_SESSION = "permission_denied"


class LimitStrategy(str, Enum):
    """What happens to a login that would exceed the limit."""

    EVICT_OLDEST = "evict_oldest"
    EVICT_LRU = "evict_lru"
    REJECT = "reject"
    ASK = "ask"


@dataclass(frozen=True)
class ClientInfo:
    """The client as the server believes it, after the privacy mode was applied."""

    ip: str | None = None
    user_agent: str = ""


@dataclass(frozen=True)
class Rules:
    """
    The limits one user's sessions live under.

    ``idle`` and ``absolute`` are durations, ``None`` for no limit.
    ``max_sessions`` is a count, ``None`` for unlimited.
    """

    idle: timedelta | None
    absolute: timedelta | None
    max_sessions: int | None = 3
    strategy: LimitStrategy = LimitStrategy.EVICT_OLDEST


class Stamped(Protocol):
    """Whatever has the facts that decide whether a session is still good."""

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


class Stamps(NamedTuple):
    """The facts that decide whether a session is still good, alone."""

    user_id: Any
    authenticated_at: datetime | None
    last_activity: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    end_reason: str = ""


class Verdict(NamedTuple):
    """The policy's answer: good until ``deadline``, or ended for ``reason``."""

    live: bool
    deadline: datetime
    reason: EndReason | None = None


@dataclass(frozen=True)
class Ended:
    """What a browser with a dead cookie may be told."""

    id: UUID
    reason: str
    ended_at: datetime
