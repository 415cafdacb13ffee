"""How a session is found, opened, written, merged and ended. The engine's inside."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, cast

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import CreateError
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.utils import timezone

from django_secure_sessions import crypto, events, policy
from django_secure_sessions.client import client_changed
from django_secure_sessions.conf import conf
from django_secure_sessions.crypto import Credential, SealBroken
from django_secure_sessions.exceptions import SessionEnded
from django_secure_sessions.state import ClientInfo, Ended, EndReason, EventKind, Rules

from . import payload, rows
from .binding import Login, bind
from .ending import end_rows, forget
from .facts import SessionFacts
from .rows import Row

logger = logging.getLogger("django_secure_sessions")

# Each try means that another request saved the same session in between.
MERGE_TRIES = 100


class Proof(NamedTuple):
    """How the user of a login was authenticated: level, and methods (RFC 8176)."""

    aal: int
    amr: str


class Reading(NamedTuple):
    """A row as an engine found it, and its payload, where that is open already."""

    row: Row
    payload: bytes | None = None


class StoredSession(SessionFacts):
    """The state of one stored session and the statements that change it."""

    # What follows is set on the instance when it changes: most requests never look
    # at their session.
    _credential: Credential | None = None
    _content_key = b""
    # The payload as last read or written: what a merge compares with.
    _base = b""
    _client: Callable[[], ClientInfo] = ClientInfo
    _loaded_at: datetime | None = None
    # The key has no row yet: the first save inserts.
    _fresh = False
    _rotated = False
    # A failed page's new key was found in the table: the browser must have it.
    key_confirmed = False
    # Another request saved between our read and our save.
    _merged = False
    proof = Proof(aal=1, amr="pwd")
    # The user object of a login, where somebody had it at hand.
    login_user: Any = None
    end_reason = EndReason.FLUSHED
    # A passive request is checked but does not count as activity.
    passive = False
    # The cookie holds the key before the last rotation: leave it be.
    by_previous_key = False
    # This very request gave the session its user.
    is_new_login = False
    # A login of this request waits for its second factor.
    suspended = False
    # The database failed us in this request.
    failed = False

    @staticmethod
    def database() -> str:
        """The alias of the database that holds the rows."""
        return rows.alias()

    @property
    def _using(self) -> str:
        return self.database()

    def _read(self, credential: Credential) -> Reading | None:
        """Return what a key stands for, from wherever the engine keeps it."""
        row = rows.fetch(self._using, "key_digest", credential.digest)
        return None if row is None else Reading(row)

    def _opened(self, row: Row) -> None:
        """Hear of a row that was let in, and whose payload is open."""

    def _written(self, row: Row, as_of: datetime, before: Row | None) -> None:
        """
        Hear of a row as written to the table at ``as_of`` or later.

        ``before`` is what it was, ``None`` if it is new. A transaction may still be
        open, and be rolled back.
        """

    def _touched(self, row: Row) -> None:
        """Hear of activity that was written to the table, as ``_written`` does."""

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
                credential.content_key, row.previous_seal, _bridge(row.id)
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

    def _insert(self, owner: Any) -> None:
        session_key = self.session_key
        credential = crypto.resolve(session_key)
        if credential is None:
            raise CreateError("Not a session key of this site.")
        now, client = timezone.now(), self._client()
        row_id = uuid.uuid4()
        packed = self._packed()
        row = Row(
            id=row_id,
            key_digest=credential.digest,
            user_id=None,
            data=crypto.seal(credential.content_key, packed, row_id.bytes),
            version=0,
            created_at=now,
            authenticated_at=None,
            last_activity=now,
            expires_at=self.get_expiry_date(),
            aal=0,
            amr="",
            ip_address=client.ip,
            user_agent=client.user_agent,
            impersonator="",
            ended_at=None,
            end_reason="",
            previous_digest=None,
            previous_seal=None,
            rotated_at=None,
            idle_seconds=None,
            absolute_seconds=None,
        )
        try:
            if owner is None:
                with _savepoint(self._using):
                    rows.insert(self._using, row)
            else:
                login = self._login(owner, now, client)
                row = row._replace(**self._ownership(login))
                bind(login, partial(self._inserted, row), self.rules_of)
                self.is_new_login = True
        except IntegrityError as error:
            if rows.fetch(self._using, "key_digest", row.key_digest) is None:
                raise  # not the key: a user that doesn't exist, say
            raise CreateError from error
        self._adopt(row, credential, packed, now)

    def _inserted(self, row: Row) -> Row:
        rows.insert(self._using, row)
        return row

    def _bind(self, owner: Any) -> None:
        """Give an anonymous session its user, under a new key."""
        now, client = timezone.now(), self._client()
        login = self._login(owner, now, client)
        changes = {
            **self._ownership(login),
            "last_activity": now,
            "ip_address": client.ip,
            "user_agent": client.user_agent,
        }

        before = self._belief

        def write() -> Row:
            self._belief = before  # an earlier try was rolled back
            self._write(changes=changes, rotate=not self._rotated, privileged=True)
            return self._require_row()

        try:
            bind(login, write, self.rules_of)
        except BaseException:
            self._belief = before
            raise
        self.is_new_login = True

    @property
    def _belief(self) -> tuple[Any, ...]:
        """What this object takes the stored row to be; put back after a rollback."""
        key = self.session_key
        return key, self._row, self._credential, self._content_key, self._base

    @_belief.setter
    def _belief(self, belief: tuple[Any, ...]) -> None:
        self._session_key, self._row, self._credential = belief[:3]
        self._content_key, self._base = belief[3:]

    def _login(self, owner: Any, now: datetime, client: ClientInfo) -> Login:
        rules = conf.rules
        if conf.has_user_rules:
            user = self.login_user
            if user is None or user.pk != owner:
                user = get_user_model()._default_manager.get(pk=owner)
            rules = conf.rules_for(user)
        detect = conf.impersonation
        impersonator = detect(self._get_session()) if detect else None  # type: ignore[attr-defined]
        return Login(
            user_id=owner,
            rules=rules,
            client=client,
            now=now,
            using=self._using,
            impersonator=(impersonator or "")[:64],
        )

    def _ownership(self, login: Login) -> dict[str, Any]:
        """The columns that a login sets."""
        own_rules = login.rules != conf.rules
        return {
            "user_id": login.user_id,
            "authenticated_at": login.now,
            "expires_at": policy.recorded_expiry(
                login.rules,
                authenticated_at=login.now,
                now=login.now,
                cookie=self.get_expiry_date(),
            ),
            "aal": self.proof.aal,
            "amr": self.proof.amr,
            "impersonator": login.impersonator,
            "idle_seconds": _whole(login.rules.idle) if own_rules else None,
            "absolute_seconds": _whole(login.rules.absolute) if own_rules else None,
        }

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
                    values["previous_digest"] = row.key_digest
                    values["previous_seal"] = crypto.seal(
                        old.content_key, content_key, _bridge(row.id)
                    )
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


def owner_of(data: Any) -> Any:
    """Return the primary key of the user that session data names, or ``None``."""
    value = data.get(SESSION_KEY)
    if value is None:
        return None
    try:
        return get_user_model()._meta.pk.to_python(value)
    except ValidationError:
        return None


def _savepoint(using: str) -> AbstractContextManager[Any]:
    """Guard a transaction around us, if any, against a failing statement."""
    if connections[using].in_atomic_block:
        return transaction.atomic(using=using)
    return nullcontext()


def _resolved(session_key: str) -> Credential:
    return cast("Credential", crypto.resolve(session_key))


def _bridge(row_id: uuid.UUID) -> bytes:
    return row_id.bytes + b"previous"


def _whole(limit: timedelta | None) -> int:
    """Seconds for a column in which 0 says "no limit"."""
    return 0 if limit is None else int(limit.total_seconds())
