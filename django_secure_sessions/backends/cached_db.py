"""
The engine with a cache in front: ``django_secure_sessions.backends.cached_db``.

The database stays the truth. A copy is believed for ``CACHE_TTL`` from the moment
its row was read there, and only while no mark beside it says otherwise. Writes go
to the database first, and to the cache when they are committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from django.db import connections
from django.utils import timezone

from django_secure_sessions import policy
from django_secure_sessions.conf import conf
from django_secure_sessions.crypto import Credential

from . import entries, rows
from .base import TrackedSession
from .copies import after_commit, copies, is_pending, put_after_commit
from .opening import Reading
from .rows import Row

# A mark outlives every entry that it may have to overrule by at least this much.
MARGIN = timedelta(seconds=60)

# With TOUCH_STORE = "cache": half of it, where there is no idle timeout to halve.
LONGEST_LAG = timedelta(hours=1)


class _Known(NamedTuple):
    """What the cache said about a session key."""

    copy: entries.Opened | None = None
    pulse: datetime | None = None
    # Nothing is stored, and nothing says that the session ended or has another key.
    is_missing: bool = False


class SessionStore(TrackedSession):
    """A request that reads its session costs one round trip to the cache."""

    # ``receivers`` then reports rows that others delete or save.
    keeps_copies = True

    # The last activity that the table is known to have.
    _recorded: datetime | None = None
    # A read of the table that the cache should hear of, once the row is open.
    _news: _News | None = None

    def _read(self, credential: Credential) -> Reading | None:
        now = timezone.now()
        known = self._ask(credential, now)
        if known.copy is not None:
            reading: Reading | None = Reading(*known.copy)
        else:
            started = monotonic()
            reading = super()._read(credential)
        self._news = self._recorded = None
        if reading is None:
            return None
        row = reading.row
        if known.is_missing:
            self._news = _News(row, now, started)
        self._recorded = row.last_activity
        return Reading(_with_pulse(row, known.pulse), reading.payload)

    def _ask(self, credential: Credential, now: datetime) -> _Known:
        digest = credential.digest
        keys = entries.keys_of(digest)
        found = copies().get(keys)
        if found is None:
            return _Known()
        pulse = entries.decode_pulse(found.get(keys.pulse), digest)
        mark = found.get(keys.mark)
        if (value := found.get(keys.entry)) is None:
            return _Known(None, pulse, is_missing=not _closes(mark))
        copy, is_ours = entries.decode(value, credential, now, conf.cache_ttl)
        if not is_ours and value != entries.ENDED:
            copies().warn("The session cache holds an entry that is not ours.")
        if copy is None or entries.overrules(mark, copy.row) or is_pending(self._using):
            return _Known(None, pulse)
        row = _with_pulse(copy.row, pulse)
        if not policy.evaluate(row, self.rules_of(row), now).live:
            # An end is for the database to say: its stamps may have moved on.
            return _Known(None, pulse)
        return _Known(copy, pulse)

    def _opened(self, row: Row) -> None:
        """Keep a row that was just read, unless it may be older than it seems."""
        news, self._news = self._news, None
        if news is None:
            return
        connection = connections[self._using]
        if not connection.in_atomic_block or _reads_the_latest(connection):
            fill = partial(_fill, news, self._base, self._content_key)
            # The row may be of this very transaction, and undone with it.
            after_commit(fill, using=self._using)

    def _written(self, row: Row, as_of: datetime, before: Row | None) -> None:
        if before is None and row.user_id is not None:
            return  # a login has enough to wait for; the next read fills
        keys = entries.keys_of(row.key_digest)
        if before is not None and before.key_digest != row.key_digest:
            self._moved(row, before)
            return
        if self._merged:
            self._raise_floor(keys, row)
        entry = entries.encode(row, self._base, self._content_key, as_of)
        ttl = _seconds(conf.cache_ttl)
        put_after_commit(copies(), {keys.entry: entry}, ttl, using=self._using)

    def _moved(self, row: Row, before: Row) -> None:
        """Take the key before a rotation out of use. A read fills the new one."""
        old = entries.keys_of(before.key_digest)
        values = {old.entry: entries.ENDED, old.mark: entries.ENDED}
        ttl = _mark_life()
        if conf.touch_store == "cache" and row.last_activity != self._recorded:
            values |= _pulse(row)
            ttl = max(ttl, self._pulse_life(row))
        put_after_commit(copies(), values, ttl, using=self._using, urgent=True)

    def _raise_floor(self, keys: entries.Keys, row: Row) -> None:
        """
        Overrule the copy of a save that ours has just overtaken in the database.

        It may reach the cache after ours does.
        """
        self._merged = False
        kept = copies().add(keys.mark, entries.floor(row.version), _mark_life())
        if not kept:
            values = {keys.mark: entries.ENDED}
            put_after_commit(copies(), values, _mark_life(), using=self._using)

    def _touched(self, row: Row) -> None:
        # Beside the entry, not in it: a copy written back here could hide a save.
        after_commit(partial(self._send_pulse, row), using=self._using)

    def _send_pulse(self, row: Row) -> bool:
        [(key, pulse)] = _pulse(row).items()
        return copies().refresh(key, pulse, self._pulse_life(row))

    def _write_touch(self, row: Row, now: datetime, before: datetime) -> bool:
        if conf.touch_store == "cache" and self._may_stay_behind(row, now):
            moved = row._replace(last_activity=max(now, row.last_activity))
            if self._send_pulse(moved):
                self._row = moved
                return True
        return super()._write_touch(row, now, before)

    def _may_stay_behind(self, row: Row, now: datetime) -> bool:
        """
        Whether the table may go without this touch.

        Not for more than half an idle timeout, so that a lost cache ends no session
        that was active since; and not if the touch says more than the time.
        """
        values = self._activity(row, now)
        values.pop("last_activity")
        if any(value != getattr(row, name) for name, value in values.items()):
            return False
        idle = self.rules_of(row).idle or LONGEST_LAG
        return now - (self._recorded or row.last_activity) < idle / 2

    def _pulse_life(self, row: Row) -> float:
        if conf.touch_store != "cache":
            return _seconds(conf.cache_ttl)  # by then the entry is read again
        return _seconds((self.rules_of(row).idle or LONGEST_LAG) + MARGIN)

    def probe(self) -> None:
        """See TrackedSession.probe()."""
        if self._row is not None and not connections[self._using].needs_rollback:
            with self._watched():
                rows.fetch(self._using, "id", self._row.id)

    @classmethod
    def refreshed(cls, found: Sequence[Row]) -> Sequence[Row]:
        """Bring rows up to date with activity that the table has not heard of."""
        if conf.touch_store != "cache" or not found:
            return found
        keys = [entries.keys_of(row.key_digest).pulse for row in found]
        pulses = copies().get(keys) or {}
        return [
            _with_pulse(row, entries.decode_pulse(pulses.get(key), row.key_digest))
            for row, key in zip(found, keys, strict=True)
        ]

    @classmethod
    def forget(cls, found: Sequence[Any]) -> None:
        """
        Drop every copy of sessions that ended, as soon as their end is committed.

        Takes rows, or anything with their ``key_digest``.
        """
        values: dict[str, bytes] = {}
        for row in found:
            keys = entries.keys_of(row.key_digest)
            values |= {keys.mark: entries.ENDED, keys.entry: entries.ENDED}
        if values:
            put_after_commit(
                copies(),
                values,
                _mark_life(),
                using=cls.database(),
                urgent=True,
            )


class _News(NamedTuple):
    """A row of the table, and when it was read, by both clocks."""

    row: Row
    as_of: datetime
    started: float


def _fill(news: _News, payload: bytes, content_key: bytes) -> None:
    # By a clock that nobody sets, as the other servers can't know of a pause here.
    left = _seconds(conf.cache_ttl) - (monotonic() - news.started)
    if left <= 0:
        return
    key = entries.keys_of(news.row.key_digest).entry
    value = entries.encode(news.row, payload, content_key, news.as_of)
    # Never over what is there, believed or not: whoever wrote it meanwhile knows a
    # newer row, and what is void goes by itself within CACHE_TTL.
    copies().add(key, value, left)


def _pulse(row: Row) -> dict[str, bytes]:
    key = entries.keys_of(row.key_digest).pulse
    return {key: entries.encode_pulse(row.key_digest, row.last_activity)}


def _with_pulse(row: Row, pulse: datetime | None) -> Row:
    if pulse is None or pulse <= row.last_activity:
        return row
    return row._replace(last_activity=pulse)


def _closes(mark: Any) -> bool:
    return mark is not None and not (
        isinstance(mark, bytes) and mark.startswith(entries.FLOOR)
    )


def _reads_the_latest(connection: Any) -> bool:
    """Whether a read in a transaction sees what was committed just before it."""
    level = getattr(connection, "isolation_level", None)
    name = str(getattr(level, "name", level)).lower().replace("_", " ")
    return name == "read committed"


def _mark_life() -> float:
    return _seconds(conf.cache_ttl + MARGIN)


def _seconds(duration: timedelta) -> float:
    return duration.total_seconds()
