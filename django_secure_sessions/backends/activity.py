"""
Bring the table up to date with activity that only the cache knows.

For ``TOUCH_STORE = "cache"``. The table says which sessions live, the cache when
each was last active, so no index has to be kept, or can be lost, in the cache.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import models
from django.db.models.functions import Greatest
from django.utils import timezone

from django_secure_sessions.conf import conf
from django_secure_sessions.models import Session

from . import rows
from .ending import CHUNK, refreshed
from .rows import Row


def flush(*, batch_size: int = CHUNK, max_seconds: float | None = None) -> int:
    """
    Write the activity of live sessions to the table; return how many rows moved.

    Two statements and one round trip to the cache for each batch. ``max_seconds``
    stops after the batch that passes it.
    """
    began, count = time.monotonic(), 0
    for batch in _batches(timezone.now(), batch_size):
        count += _write(batch)
        if max_seconds is not None and time.monotonic() - began >= max_seconds:
            break
    return count


def _batches(now: datetime, size: int) -> Iterator[list[Row]]:
    # Recorded within the interval: a touch would not be due either.
    stale = now - conf.touch_interval(conf.rules.idle)
    due = (
        Session.objects.using(rows.alias())
        .filter(ended_at=None, last_activity__lte=stale)
        .exclude(user=None)
        .order_by("pk")
    )
    batch = due
    while facts := list(batch.values(*rows.FACTS)[:size]):
        yield [Row.of_facts(row) for row in facts]
        batch = due.filter(pk__gt=facts[-1]["id"])


def _write(batch: Sequence[Row]) -> int:
    moved = {
        now.id: now.last_activity
        for before, now in zip(batch, refreshed(batch), strict=True)
        if now.last_activity > before.last_activity
    }
    if not moved:
        return 0
    cases = [models.When(pk=pk, then=models.Value(at)) for pk, at in moved.items()]
    seen = models.Case(*cases, output_field=models.DateTimeField())
    live = Session.objects.using(rows.alias()).filter(ended_at=None)
    # Never back: a request may have written a later moment meanwhile. The recorded
    # expiry needs no change, since a touch that moves it goes to the table itself.
    return live.filter(pk__in=list(moved)).update(
        last_activity=Greatest("last_activity", seen)
    )
