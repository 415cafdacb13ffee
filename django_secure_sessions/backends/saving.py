"""How a stored session is written, merged with other writes, rotated and touched."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.utils import timezone

from django_secure_sessions import crypto, events, policy
from django_secure_sessions.conf import conf
from django_secure_sessions.crypto import Credential
from django_secure_sessions.exceptions import SessionEnded
from django_secure_sessions.state import ClientInfo, EventKind

from . import payload, rows
from .opening import OpenedSession, Reading, bridge
from .rows import Row

# Each try means that another request saved the same session in between.
MERGE_TRIES = 100


class SavedSession(OpenedSession):
    """One UPDATE of a live row, whatever changes: data, clocks or key."""

    # The key has no row yet: the first save inserts.
    _fresh = False
    _rotated = False
    # A failed page's new key was found in the table: the browser must have it.
    key_confirmed = False
    # Another request saved between our read and our save.
    _merged = False
    # A passive request is checked but does not count as activity.
    passive = False

    def _written(self, row: Row, as_of: datetime, before: Row | None) -> None:
        """
        Hear of a row as written to the table at ``as_of`` or later.

        ``before`` is what it was, ``None`` if it is new. A transaction may still be
        open, and be rolled back.
        """

    def _touched(self, row: Row) -> None:
        """Hear of activity that was written to the table, as ``_written`` does."""

    def _write(
        self,
        *,
        changes: dict[str, Any] | None = None,
        rotate: bool = False,
        privileged: bool = False,
    ) -> None:
        """
        Write the data and ``changes`` in one UPDATE on the version we know.

        When another request saved first, its changes and ours are merged and the
        UPDATE is tried again. ``rotate`` replaces the key; ``privileged`` also
        takes the key before it out of use.
        """
        for _ in range(MERGE_TRIES):
            row, credential = self._require_row(), self._require_credential()
            content_key, session_key = self._content_key, self.session_key
            now = timezone.now()
            values = {**self._clocks(row, now), **(changes or {})}
            if privileged:
                values |= {"previous_digest": None, "previous_seal": None}
            if rotate and (privileged or not self.by_previous_key):
                session_key = crypto.new_session_key()
                old, credential = credential, _resolved(session_key)
                content_key = credential.content_key
                values["key_digest"] = credential.digest
                values["rotated_at"] = now
                if not privileged:
                    values |= way_back(row.id, old, credential, now)
            packed = self._packed()
            values["data"] = crypto.seal(content_key, packed, row.id.bytes)
            values["version"] = row.version + 1
            if rows.update(self._using, values, id=row.id, version=row.version):
                self._content_key = content_key
                self.by_previous_key &= session_key == self.session_key
                self._session_key = session_key
                self._adopt(row._replace(**values), credential, packed, now)
                return
            self._reconcile(now)
        raise SessionEnded

    def _reconcile(self, now: datetime) -> None:
        """Our version is not the newest: fetch that, and merge our changes in."""
        known, credential = self._require_row(), self._require_credential()
        row = rows.fetch(self._using, "id", known.id)
        if row is None or row.ended_at is not None or row.user_id != known.user_id:
            raise SessionEnded(row.end_reason if row else "")
        if row.key_digest != known.key_digest and not self._cross_rotation(
            row, credential, now
        ):
            raise SessionEnded
        serializer = self.serializer()
        ours = self._get_session()  # type: ignore[attr-defined]
        base = payload.unpack(serializer, self._base)
        theirs = self._open(Reading(row))
        if theirs is None:
            raise SessionEnded
        self._session_cache = payload.merge(base, theirs, ours)
        self._merged = True

    def _adopt(
        self, row: Row, credential: Credential, packed: bytes, as_of: datetime
    ) -> None:
        before = self._row
        self._row, self._credential, self._base = row, credential, packed
        if not self.by_previous_key:
            self._content_key = credential.content_key
        self._fresh = False
        self._written(row, as_of, before)

    def _clocks(self, row: Row, now: datetime) -> dict[str, Any]:
        """The time columns of a save. A passive one moves none of a login's."""
        if row.user_id is not None:
            return {} if self.passive else self._activity(row, now)
        expires_at = self.get_expiry_date()
        slack = conf.touch_interval(None)
        # Earlier is exact; later may wait, so that the index is left alone.
        moves = not row.expires_at <= expires_at <= row.expires_at + slack
        values: dict[str, Any] = {"last_activity": now}
        return values | ({"expires_at": expires_at} if moves else {})

    def _activity(self, row: Row, now: datetime) -> dict[str, Any]:
        """The columns that activity moves: one, and more only where they differ."""
        rules = self.rules_of(row)
        values: dict[str, Any] = {"last_activity": max(now, row.last_activity)}
        expires_at = policy.recorded_expiry(
            rules,
            authenticated_at=row.authenticated_at or now,
            now=now,
            cookie=self.get_expiry_date(),
        )
        if expires_at < row.expires_at or (
            rules.idle is not None and now + rules.idle > row.expires_at
        ):
            values["expires_at"] = expires_at
        if self._client is not ClientInfo:
            client = self._client()
            if client.ip != row.ip_address:
                values["ip_address"] = client.ip
            if client.user_agent != row.user_agent:
                values["user_agent"] = client.user_agent
        return values

    def _write_touch(self, row: Row, now: datetime, before: datetime) -> bool:
        values = self._activity(row, now)
        if not rows.update(self._using, values, id=row.id, last_activity__lte=before):
            return False
        if conf.binding == "log" and self._is_other_client(row):
            events.record(
                [
                    events.build(
                        EventKind.CLIENT_CHANGED,
                        now=now,
                        user_id=row.user_id,
                        session_id=row.id,
                        client=self._client(),
                        detail={"from_ip": row.ip_address or ""},
                    )
                ]
            )
        self._row = row._replace(**values)
        self._touched(self._row)
        return True

    def _packed(self) -> bytes:
        data = self._get_session()  # type: ignore[attr-defined]
        return payload.pack(self.serializer(), data)

    def _require_row(self) -> Row:
        if self._row is None:
            raise SessionEnded(self._ended.reason if self._ended else "")
        return self._row

    def _require_credential(self) -> Credential:
        if self._credential is None:
            raise SessionEnded
        return self._credential


def way_back(
    row_id: UUID, old: Credential, new: Credential, now: datetime
) -> dict[str, Any]:
    """Return the columns that lead from the key before a rotation to the payload."""
    return {
        "previous_digest": old.digest,
        "previous_seal": crypto.seal(old.content_key, new.content_key, bridge(row_id)),
        "rotated_at": now,
    }


def _resolved(session_key: str) -> Credential:
    return cast("Credential", crypto.resolve(session_key))
