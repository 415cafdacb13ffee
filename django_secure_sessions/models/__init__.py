"""The tables. Modules hold no policy; state changes only through the verbs."""

from __future__ import annotations

from .authenticator import Authenticator, RecoveryCode, TrustedDevice
from .event import SessionEvent
from .security import UserSecurity
from .session import Session, SessionQuerySet

__all__ = [
    "Authenticator",
    "RecoveryCode",
    "Session",
    "SessionEvent",
    "SessionQuerySet",
    "TrustedDevice",
    "UserSecurity",
]
