"""
What is kept for how long, and the removal of the rest in small steps.

Rows are selected by key, then changed by key with the condition repeated, since no
other form of a bounded DELETE runs on every database. Each batch is a transaction
of its own: a run may stop after any of them, and the next one carries on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from datetime import timezone as fixed
from typing import Any, NamedTuple

from django.db import connections, models, router, transaction
from django.utils import timezone

from django_secure_sessions.conf import conf
from django_secure_sessions.exceptions import ClockMistrusted
from django_secure_sessions.models import Session, SessionEvent, TrustedDevice

from . import rows
from .expiring import end_expired

BATCH_SIZE = 1000  # rows: a transaction of some 50 ms

# A clock further ahead of the database's than this ends sessions early. That is
# refused where it would hit more than half of the live ones, if there are as many
# as this: of fewer, most may well end in those minutes by right.
TOLERANCE = timedelta(minutes=5)
ENOUGH_TO_TELL = 10


@dataclass(frozen=True)
class Report:
    """How many rows of each kind were, or would be, ended or deleted."""

    ended: int = 0
    anonymous: int = 0
    history: int = 0
    events: int = 0
    devices: int = 0
    # False when the time ran out before the work did.
    complete: bool = True

    @property
    def total(self) -> int:
        return self.ended + self.anonymous + self.history + self.events + self.devices

    def plus(self, name: str, count: int) -> Report:
        """Return the report with ``count`` more of one kind."""
        changes: dict[str, Any] = {name: getattr(self, name) + count}
        return replace(self, **changes)


class _Sweep(NamedTuple):
    """Rows that are due, in the order of an index, and what is done to them."""

    due: models.QuerySet[Any]
    order: tuple[str, ...]
    columns: tuple[str, ...]
    act: Callable[[models.QuerySet[Any], Sequence[dict[str, Any]], datetime], int]


def purge(
    now: datetime,
    *,
    batch_size: int = BATCH_SIZE,
    max_seconds: float | None = None,
    dry_run: bool = False,
    force: bool = False,
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """
    End sessions whose time is over, and delete what is past its retention.

    ``max_seconds`` stops the run after the batch that passes it, ``progress`` is
    called after each batch, ``dry_run`` only counts. Raise ``ClockMistrusted`` when
    ``now`` looks wrong and most users would lose their sessions by it, unless
    ``force``.
    """
    if not force:
        _mistrust(now)
    began = time.monotonic()
    report = Report()
    for name, sweep in _sweeps(now).items():
        if dry_run:
            report = report.plus(name, sweep.due.count())
            continue
        for changed in _batches(sweep, now, batch_size):
            report = report.plus(name, changed)
            if progress:
                progress(report)
            if max_seconds is not None and time.monotonic() - began >= max_seconds:
                return replace(report, complete=False)
    return report


def _sweeps(now: datetime) -> dict[str, _Sweep]:
    """What is due, by the name of its count in the report."""
    sessions = Session.objects.using(rows.alias())
    expired = sessions.filter(ended_at=None, expires_at__lte=now)
    by_expiry = ("ended_at", "expires_at")
    devices = TrustedDevice.objects.using(router.db_for_write(TrustedDevice))
    sweeps = {
        # First, since they are many and stand between the others in the index.
        "anonymous": _deletion(expired.filter(user=None), *by_expiry),
        "ended": _Sweep(expired.exclude(user=None), by_expiry, rows.FACTS, end_expired),
        "history": _deletion(
            sessions.filter(ended_at__lte=now - conf.history), "ended_at"
        ),
        "devices": _deletion(devices.filter(expires_at__lte=now), "expires_at"),
    }
    if (kept := conf.event_retention) is not None:
        audit = SessionEvent.objects.using(router.db_for_write(SessionEvent))
        sweeps["events"] = _deletion(audit.filter(at__lte=now - kept), "at")
    return sweeps


def _deletion(due: models.QuerySet[Any], *order: str) -> _Sweep:
    return _Sweep(due, order, ("pk", order[-1]), _delete)


def _batches(sweep: _Sweep, now: datetime, size: int) -> Iterator[int]:
    """Change what is due, yielding after each commit how many rows it changed."""
    using = sweep.due.db
    # A row that a request holds is left for the next run: neither waits.
    skip = connections[using].features.has_select_for_update_skip_locked
    waiting = sweep.due.order_by(*sweep.order).select_for_update(skip_locked=skip)
    column = sweep.order[-1]
    selection = waiting
    while True:
        with transaction.atomic(using=using):
            found = list(selection.values(*sweep.columns)[:size])
            changed = sweep.act(sweep.due, found, now) if found else 0
        yield changed
        # No change although rows were found: another run is at the same ones.
        if len(found) < size or not changed:
            return
        # Where the last batch stopped, not from the start: an index keeps the
        # entries of deleted rows while any older transaction may look at them.
        selection = waiting.filter(**{f"{column}__gte": found[-1][column]})


def _delete(
    due: models.QuerySet[Any], found: Sequence[dict[str, Any]], now: datetime
) -> int:
    # Not delete(): it would fetch every row for signals and cascades.
    deleted: int = due.filter(pk__in=[row["pk"] for row in found])._raw_delete(due.db)
    return deleted


def _mistrust(now: datetime) -> None:
    """Refuse a clock that is ahead, if believing it would sign most users out."""
    using = rows.alias()
    aware = now if timezone.is_aware(now) else timezone.make_aware(now)
    ahead = aware - _database_time(using)
    if ahead <= TOLERANCE:
        return
    live = Session.objects.using(using).live(now - ahead).exclude(user=None)
    total, over = live.count(), live.filter(expires_at__lte=now).count()
    if total >= ENOUGH_TO_TELL and over > total / 2:
        raise ClockMistrusted(ahead, over, total)


def _database_time(using: str) -> datetime:
    connection = connections[using]
    # MariaDB and MySQL answer in the time zone of the connection.
    name = "UTC_TIMESTAMP(6)" if connection.vendor == "mysql" else "CURRENT_TIMESTAMP"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name}")
        found: Any = cursor.fetchone()[0]
    moment: datetime = (
        datetime.fromisoformat(found) if isinstance(found, str) else found
    )
    return moment if moment.tzinfo else moment.replace(tzinfo=fixed.utc)
