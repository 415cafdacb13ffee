"""What a session knows about itself, typed. Reading a fact loads the session."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.base import SessionBase

from django_secure_sessions.conf import conf
from django_secure_sessions.state import Ended

from .rows import Row


class SessionFacts(SessionBase):
    """
    Read-only facts of ``request.session``. ``None``, or 0, when there are none.

    Under ASGI read a value of the session first (``await session.aget(...)``): a
    property cannot wait for the database.
    """

    _row: Row | None = None
    _ended: Ended | None = None

    def _loaded(self) -> Row | None:
        self._get_session()  # type: ignore[attr-defined]
        return self._row

    @property
    def row(self) -> Row | None:
        """The stored row, payload sealed. For this package: sites read the facts."""
        return self._loaded()

    @property
    def public_id(self) -> UUID | None:
        """The id for URLs, logs and people. It survives rotation of the key."""
        row = self._loaded()
        return row and row.id

    @property
    def user_id(self) -> Any:
        """The primary key of the user, or ``None`` while nobody is signed in."""
        row = self._loaded()
        return row and row.user_id

    @property
    def role(self) -> str:
        """
        The first, most powerful role of the user; ``""`` for nobody.

        Asked of the database each time: a role is never remembered in a session.
        """
        user_id = self.user_id
        if user_id is None:
            return ""
        user = get_user_model()._default_manager.filter(pk=user_id).first()
        return next(iter(conf.roles(user)), "") if user else ""

    @property
    def created_at(self) -> datetime | None:
        row = self._loaded()
        return row and row.created_at

    @property
    def authenticated_at(self) -> datetime | None:
        """When the user last proved who they are. Starts the absolute timeout."""
        row = self._loaded()
        return row and row.authenticated_at

    @property
    def last_activity(self) -> datetime | None:
        """The recorded activity; at most one touch interval old."""
        row = self._loaded()
        return row and row.last_activity

    @property
    def ip_address(self) -> str | None:
        """The address as the privacy mode stores it."""
        row = self._loaded()
        return row and row.ip_address

    @property
    def aal(self) -> int:
        """0 nobody, 1 by one factor, 2 with a second factor (SP 800-63B)."""
        row = self._loaded()
        return row.aal if row else 0

    @property
    def amr(self) -> tuple[str, ...]:
        """The methods used, as in RFC 8176: ``("pwd", "otp")``."""
        row = self._loaded()
        return tuple(row.amr.split()) if row else ()

    @property
    def impersonator(self) -> str:
        """Who really acts, by primary key, while somebody acts as the user."""
        row = self._loaded()
        return row.impersonator if row else ""

    @property
    def ended(self) -> Ended | None:
        """Set when the cookie belongs to a session that ended: why and when."""
        self._get_session()  # type: ignore[attr-defined]
        return self._ended
