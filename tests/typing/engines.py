"""What engines tell and what SecureSession promises, side by side. Never run."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from django_secure_sessions.backends.facts import SessionFacts
from django_secure_sessions.http import SecureSession
from django_secure_sessions.state import Ended


class Facts(Protocol):
    @property
    def public_id(self) -> UUID | None: ...
    @property
    def user_id(self) -> int | str | None: ...
    @property
    def role(self) -> str: ...
    @property
    def created_at(self) -> datetime | None: ...
    @property
    def authenticated_at(self) -> datetime | None: ...
    @property
    def last_activity(self) -> datetime | None: ...
    @property
    def ip_address(self) -> str | None: ...
    @property
    def aal(self) -> int: ...
    @property
    def amr(self) -> tuple[str, ...]: ...
    @property
    def ended(self) -> Ended | None: ...


def both_tell_the_same(engine: SessionFacts, promised: SecureSession) -> None:
    facts: Facts = engine
    facts = promised
    assert facts
