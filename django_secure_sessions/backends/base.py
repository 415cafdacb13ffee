"""
The engine: Django's session contract over a row that can't come back.

Sync and async share every decision: an async method is one thread hop around its
twin, since Django's database connections are synchronous underneath.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import CreateError
from django.db import DatabaseError
from django.utils import timezone

from django_secure_sessions import accounts, crypto, policy
from django_secure_sessions.conf import conf
from django_secure_sessions.state import ClientInfo, EndReason

from . import retention, rows
from .binding import bind_again
from .owning import IMPERSONATION, Proof
from .previous import MovedSession, previous_session
from .rows import Row

# RFC 6265bis, 5.5: user agents cap a cookie's life at 400 days.
LONGEST_LIFE = timedelta(days=400)


class TrackedSession(MovedSession):
    """
    A session that knows its user, its client and its clocks, and stays ended.

    Built from a session key alone, as all of Django builds it. Engines derive from
    it, name their class ``SessionStore`` and override ``_read``, ``_written`` and
    ``forget`` to keep copies elsewhere.
    """

    def attach(self, client: Callable[[], ClientInfo]) -> None:
        """Say who is asking. ``client`` is called when the answer is first needed."""
        self._client = client

    @property
    def client(self) -> ClientInfo:
        """Who is asking, which need not be the client that the row names."""
        return self._client()

    @property
    def is_loaded(self) -> bool:
        """Whether anything has read the session in this request."""
        return hasattr(self, "_session_cache")

    @property
    def is_stored(self) -> bool:
        """Whether the session, as far as this request knows, has a live row."""
        return self._row is not None

    def known_id(self) -> UUID:
        """Return the public id: the row's, or what the first save will make it."""
        if self._row is not None:
            return self._row.id
        self._reserved_id = self._reserved_id or uuid4()
        return self._reserved_id

    def drop_unusable_user(self) -> None:
        """
        End the session if its user is gone or inactive.

        For requests that found nobody behind a session with a user. Bulk updates
        send no signal, and a session left alone would revive with its user.
        """
        if self._row is None or self._row.user_id is None:
            return
        user = self._stored_user()
        if user is None or not user.is_active:
            self.end_reason = EndReason.USER_DEACTIVATED
            self.flush()

    async def adrop_unusable_user(self) -> None:
        """See drop_unusable_user()."""
        await sync_to_async(self.drop_unusable_user)()

    def load(self) -> dict[str, Any]:
        """Return the data of a live session, or ``{}`` for any other."""
        now = self._loaded_at = timezone.now()
        self._credential = credential = crypto.resolve(self.session_key)
        self._row = None
        data = None
        try:
            if credential is None:
                data = self._move_in(now)
            else:
                reading = self._find(credential, now)
                if reading is not None and self._admit(reading.row, now):
                    data = self._open(reading)
        except DatabaseError:
            self.failed = True
            raise
        if data is None:
            self._session_key = self._credential = None
            return {}
        return data

    def exists(self, session_key: str | None) -> bool:
        """Whether a live session has this key."""
        credential = crypto.resolve(session_key)
        if credential is None:
            return False
        row = rows.fetch(rows.alias(), "key_digest", credential.digest)
        return row is not None and row.ended_at is None

    def create(self) -> None:
        """Store what there is under a new key."""
        self.by_previous_key = False
        for _ in range(3):
            self._session_key = crypto.new_session_key()
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return
        raise CreateError("No unique session key after three tries.")

    def save(self, must_create: bool = False) -> None:
        """
        Write the session, binding it to the user its data names.

        Raise ``SessionEnded`` (an ``UpdateError``) when the session ended
        meanwhile, ``CreateError`` when a key to be created is taken, and
        ``SessionLimitReached`` when the user may not have another session.
        """
        if self.session_key is None:
            return self.create()
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        is_new = must_create or self._fresh
        with self._watched():
            if not is_new and self._row is None:
                self.load()  # the data was replaced without being read
            owner = self._owner(data)
            if is_new:
                return self._insert(owner)
            row = self._require_row()
            if self.suspended and owner is None:
                return self._demote()
            if owner == row.user_id:
                return self._write(rotate=not self._require_credential().current)
            if row.user_id is None:
                return self._bind(owner)
            if owner is None:
                return self._write(changes=_UNBOUND, rotate=True, privileged=True)
        # Another user in the same browser gets a session of their own.
        self.delete()
        self._row = None
        return self.create()

    def cycle_key(self) -> None:
        """
        Give the session a new key, on the same row.

        The key before it still loads for ``ROTATION_GRACE``, for requests already
        on their way, until a login or step-up revokes it.
        """
        self._get_session()  # type: ignore[attr-defined]
        if self._row is None:
            # Nothing is stored, so the first save can insert under the new key.
            self._session_key = crypto.new_session_key()
            self._fresh = self.modified = True
        elif not self.by_previous_key:
            with self._watched():
                self._write(rotate=True)
            self._rotated = self.modified = True

    def elevate(self, proof: Proof) -> None:
        """
        Record a stronger or a repeated authentication of the same user.

        Resets both clocks (SP 800-63B-4, 5.2), and replaces the key, the one
        before it included (ASVS 7.2.4). A session in which somebody else acts as
        the user stays at level 1, whatever was shown.
        """
        self._get_session()  # type: ignore[attr-defined]
        if self._require_row().impersonator:
            proof = IMPERSONATION
        self.proof = proof
        now, rules = timezone.now(), self.rules_of(self._require_row())
        changes = {
            "authenticated_at": now,
            "expires_at": policy.recorded_expiry(
                rules, authenticated_at=now, now=now, cookie=self.get_expiry_date()
            ),
            "aal": proof.aal,
            "amr": proof.amr,
        }
        with self._watched():
            self._write(rotate=True, changes=changes, privileged=True)
        self._rotated = self.modified = True

    def login_again(self) -> None:
        """
        Take note that the session's own user signed in once more.

        Django keeps the key then; ASVS 7.2.4 does not, and a repeated proof restarts
        both clocks (SP 800-63B-4, 5.2).
        """
        before = self._belief

        def write() -> Row:
            self._belief = before  # an earlier try was rolled back
            self.elevate(self.proof)
            return self._require_row()

        row = self._require_row()
        try:
            bind_again(self._login(row.user_id, timezone.now(), self._client()), write)
        except BaseException:
            self._belief = before
            raise

    @property
    def has_new_key(self) -> bool:
        """Whether this request replaced the key."""
        return self._rotated

    def confirm_key(self) -> None:
        """
        Find out, after a page that failed, whether its new key is stored.

        A transaction around the page may have taken the rotation back; then the
        browser's key lives on. Otherwise the new one is all that will.
        """
        credential = self._require_credential()
        with self._watched():
            row = rows.fetch(self._using, "key_digest", credential.digest)
        self.key_confirmed = row is not None and row.ended_at is None

    async def aconfirm_key(self) -> None:
        """See confirm_key()."""
        await sync_to_async(self.confirm_key)()

    def bind_now(
        self,
        values: Mapping[str, str],
        *,
        user: Any,
        proof: Proof,
        without: str = "",
        ending: Collection[UUID] | None = None,
    ) -> None:
        """
        Write a login to the data, less the key ``without``, and bind at once.

        ``ending`` are sessions of the user to end for it, where the limit asks. When
        the save is refused, the data is again what it was, so that no later save of
        it completes the login after all.
        """
        data = self._get_session()  # type: ignore[attr-defined]
        before, known = dict(data), self.proof
        data.update(values)
        data.pop(without, None)
        self.modified = True
        self.proof, self.login_user, self.ending = proof, user, ending
        try:
            self.save()
        except BaseException:
            self._session_cache = before
            self.proof, self.login_user = known, None
            raise
        finally:
            self.ending = None

    def _demote(self) -> None:
        """Take a session from its user, under a key that nobody else knows."""
        self._write(changes=_UNBOUND, rotate=not self._rotated, privileged=True)
        self._rotated = True

    def delete(self, session_key: str | None = None) -> None:
        """End the session, ours or the one with this key. Idempotent."""
        own = session_key is None or session_key == self.session_key
        if own and self._row is not None:
            row: Row | None = self._row
        else:
            credential = crypto.resolve(session_key or self.session_key)
            if credential is None:
                return
            with self._watched():
                reading = self._find(credential, timezone.now())
            row = reading and reading.row
        if row is None or row.ended_at is not None:
            return
        with self._watched():
            self._end(row, self.end_reason)

    def flush(self) -> None:
        """
        End the session and forget its data; what is set next is a new one.

        Django flushes what bears the hash of another password: that is the reason
        then, and the browser is told it.
        """
        if self._row is None and previous_session(self.session_key) is not None:
            self.load()  # to end it, it has to be ours
        if self.end_reason is EndReason.FLUSHED and self._is_of_another_password():
            self.end_reason = EndReason.PASSWORD_CHANGED
        if self._row is not None and self._row.user_id is not None:
            self.predecessor = self._row
        super().flush()
        self.end_reason = EndReason.FLUSHED
        self._row = self._credential = self._reserved_id = None
        self._fresh = self._rotated = self.suspended = False

    def _is_of_another_password(self) -> bool:
        if self._row is None or self._row.user_id is None:
            return False
        kept = self._get_session().get(HASH_SESSION_KEY)  # type: ignore[attr-defined]
        user = self._stored_user() if kept else None
        return user is not None and not accounts.fits(user, kept)

    def _stored_user(self) -> Any:
        with self._watched():
            manager = get_user_model()._default_manager
            return manager.filter(pk=self._require_row().user_id).first()

    async def acycle_key(self) -> None:
        """See cycle_key()."""
        await sync_to_async(self.cycle_key)()

    async def aelevate(self, proof: Proof) -> None:
        """See elevate()."""
        await sync_to_async(self.elevate)(proof)

    async def aflush(self) -> None:
        """See flush()."""
        await sync_to_async(self.flush)()

    def touch(self) -> bool:
        """
        Record activity as of the load, if the recorded one is old enough.

        One conditional UPDATE, so parallel requests write once and a slow one
        can't move the clock back.
        """
        row, now = self._row, self._loaded_at
        if row is None or now is None or row.user_id is None or self.passive:
            return False
        interval = conf.touch_interval(self.rules_of(row).idle)
        if not policy.is_touch_due(row.last_activity, interval, now):
            return False
        with self._watched():
            return self._write_touch(row, now, now - interval)

    async def atouch(self) -> bool:
        """See touch()."""
        return await sync_to_async(self.touch)()

    def probe(self) -> None:
        """Raise ``DatabaseError`` if the table that a copy stood in for is away."""

    async def aprobe(self) -> None:
        """See probe()."""
        await sync_to_async(self.probe)()

    @classmethod
    def forget(cls, found: Sequence[Row]) -> None:
        """Drop every copy of sessions that ended. The table itself has none."""

    @classmethod
    def clear_expired(cls) -> None:
        """Remove what is past its retention, in batches: see ``cleanup_sessions``."""
        retention.purge(timezone.now())

    @classmethod
    async def aclear_expired(cls) -> None:
        """See clear_expired()."""
        await sync_to_async(cls.clear_expired)()

    def set_expiry(self, value: Any) -> None:
        """
        See Django's ``set_expiry``; a life beyond 400 days is cut to that.

        A naive ``datetime`` is taken in the current time zone.
        """
        super().set_expiry(_bounded(value))

    async def aset_expiry(self, value: Any) -> None:
        """See set_expiry()."""
        await super().aset_expiry(_bounded(value))


_UNBOUND = {
    "user_id": None,
    "authenticated_at": None,
    "aal": 0,
    "amr": "",
    "impersonator": "",
}


def _bounded(value: Any) -> Any:
    """Return an expiry that date arithmetic and cookies can hold."""
    latest = timezone.now() + LONGEST_LIFE
    if isinstance(value, datetime):
        if settings.USE_TZ and timezone.is_naive(value):
            value = timezone.make_aware(value)
        return min(value, latest) if timezone.is_aware(value) else value
    if isinstance(value, timedelta):
        return max(-LONGEST_LIFE, min(value, LONGEST_LIFE))
    if isinstance(value, (int, float)):
        longest = int(LONGEST_LIFE.total_seconds())
        return max(-longest, min(value, longest))
    return value
