"""How a stored session is found, judged and opened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError, transaction
from django.utils import timezone

from django_secure_sessions import crypto, policy
from django_secure_sessions.client import client_changed
from django_secure_sessions.conf import conf
from django_secure_sessions.crypto import Credential, SealBroken
from django_secure_sessions.state import ClientInfo, Ended, EndReason, Rules

from . import payload, rows
from .ending import end_rows, forget
from .facts import SessionFacts
from .rows import Row

logger = logging.getLogger("django_secure_sessions")


class Reading(NamedTuple):
    """A row as an engine found it, and its payload, where that is open already."""

    row: Row
    payload: bytes | None = None


class OpenedSession(SessionFacts):
    """
    From a session key to a live row and its data.

    The attributes of a session are set on the instance when they change, since most
    requests never look at theirs.
    """

    _credential: Credential | None = None
    _content_key = b""
    # The payload as last read or written: what a merge compares with.
    _base = b""
    _client: Callable[[], ClientInfo] = ClientInfo
    _loaded_at: datetime | None = None
    end_reason = EndReason.FLUSHED
    # The cookie holds the key before the last rotation: leave it be.
    by_previous_key = False
    # The database failed us in this request.
    failed = False

    @staticmethod
    def database() -> str:
        """The alias of the database that holds the rows."""
        return rows.alias()

    @property
    def _using(self) -> str:
        return self.database()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError:
            self.failed = True
            raise

    @staticmethod
    def rules_of(row: Row) -> Rules:
        """Return the rules a stored session lives under."""
        site = conf.rules
        if row.idle_seconds is None:
            return site
        return Rules(
            idle=timedelta(seconds=row.idle_seconds) or None,
            absolute=timedelta(seconds=row.absolute_seconds or 0) or None,
            max_sessions=site.max_sessions,
            strategy=site.strategy,
        )

    def _read(self, credential: Credential) -> Reading | None:
        """Return what a key stands for, from wherever the engine keeps it."""
        row = rows.fetch(self._using, "key_digest", credential.digest)
        return None if row is None else Reading(row)

    def _opened(self, row: Row) -> None:
        """Hear of a row that was let in, and whose payload is open."""

    def _find(self, credential: Credential, now: datetime) -> Reading | None:
        """Return the row of a key, or of the key before a recent rotation."""
        self.by_previous_key = False
        self._content_key = credential.content_key
        reading = self._read(credential)
        if reading is not None:
            return reading
        row = rows.fetch(self._using, "previous_digest", credential.digest)
        if row is None or not self._cross_rotation(row, credential, now):
            return None
        return Reading(row)

    def _cross_rotation(self, row: Row, credential: Credential, now: datetime) -> bool:
        """Get from the key before a rotation to the payload, if still allowed."""
        if row.previous_digest != credential.digest or not row.previous_seal:
            return False
        if row.rotated_at is None or now - row.rotated_at > conf.rotation_grace:
            return False
        try:
            self._content_key = crypto.open_sealed(
                credential.content_key, row.previous_seal, bridge(row.id)
            )
        except SealBroken:
            logger.error("The last rotation of session %s does not open.", row.id)
            return False
        self.by_previous_key = True
        return True

    def _admit(self, row: Row, now: datetime) -> bool:
        """Let a live session in; end the one whose time, or client, is over."""
        verdict = policy.evaluate(row, self.rules_of(row), now)
        if row.ended_at is not None:
            self._ended = Ended(row.id, row.end_reason, row.ended_at)
        elif not verdict.live:
            if row.user_id is not None:
                self._end(row, verdict.reason or EndReason.EXPIRED, now)
        elif conf.binding == "end" and self._is_other_client(row):
            self._end(row, EndReason.BINDING, now)
        else:
            return True
        return False

    def _is_other_client(self, row: Row) -> bool:
        if row.user_id is None or self._client is ClientInfo:
            return False
        return client_changed(
            ClientInfo(row.ip_address, row.user_agent), self._client()
        )

    def _open(self, reading: Reading) -> dict[str, Any] | None:
        """Adopt a row and return its data; ``None`` if the payload is not ours."""
        row, packed = reading
        try:
            if packed is None:
                packed = crypto.open_sealed(self._content_key, row.data, row.id.bytes)
            data = payload.unpack(self.serializer(), packed)
        except (SealBroken, ValueError):
            # Kept for forensics: whoever can write the table may have been here.
            logger.error("Session %s does not open; treated as absent.", row.id)
            return None
        self._row, self._base = row, packed
        self._opened(row)
        return data

    def _end(self, row: Row, reason: EndReason, now: datetime | None = None) -> None:
        if row.user_id is None:
            rows.delete_anonymous(self._using, row.id)
            forget([row])
            return
        now = now or timezone.now()
        with transaction.atomic(using=self._using):
            end_rows(
                [row],
                reason,
                now=now,
                actor="",
                client=self._client(),
                using=self._using,
            )
        self._ended = Ended(row.id, reason.value, now)


def bridge(row_id: UUID) -> bytes:
    """Return what the key after a rotation is bound to, sealed under the one before."""
    return row_id.bytes + b"previous"
