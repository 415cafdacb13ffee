"""
What is kept for how long, and the removal of the rest in small steps.

Rows are selected by key, then changed by key with the condition repeated, since no
other form of a bounded DELETE runs on every database. Each batch is a transaction
of its own: a run may stop after any of them, and the next one carries on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import models

BATCH_SIZE = 1000  # rows; a transaction of this size lasts some 50 ms

# A clock that is ahead of the database's by more than this ends sessions early...
TOLERANCE = timedelta(minutes=5)
# ...which is refused when it would end more than half of more than this many.
TOO_MANY = 1000

_EVIDENCE = ("data", "previous_seal")


@dataclass(frozen=True)
class Report:
    """How many rows each rule has met, and whether all that was due is done."""

    ended: int = 0
    anonymous: int = 0
    history: int = 0
    events: int = 0
    devices: int = 0
    complete: bool = True

    @property
    def total(self) -> int:
        return self.ended + self.anonymous + self.history + self.events + self.devices


class _Rule(NamedTuple):
    """Rows that are due, by a column that is indexed, and what becomes of them."""

    due: models.QuerySet[Any]
    column: str
    act: Callable[[models.QuerySet[Any], Sequence[Any]], int]


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
    End sessions whose time is over and delete what is past its retention.

    ``max_seconds`` stops the run after the batch that passes it, ``progress`` is
    called after each batch, ``dry_run`` only counts. Raise ``ClockMistrusted`` when
    ``now`` looks wrong and most users would lose their sessions by it, unless
    ``force``.
    """
    rules = _rules(now)
    if dry_run:
        return Report(**{name: rule.due.count() for name, rule in rules.items()})
    if not force:
        _mistrust(now)
    stop_at = None if max_seconds is None else time.monotonic() + max_seconds
    report = Report()
    for name, rule in rules.items():
        for changed in _batches(rule, batch_size):
            report = replace(report, **{name: getattr(report, name) + changed})
            if progress:
                progress(report)
            if stop_at is not None and time.monotonic() >= stop_at:
                return replace(report, complete=False)
    return report
