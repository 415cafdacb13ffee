"""
Bring the table, and what is shown of it, up to date with what only the cache knows.

For ``TOUCH_STORE = "cache"``. The table says which sessions live, the cache when
each was last active, so no index has to be kept, or can be lost, in the cache.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db import models
from django.db.models.functions import Greatest
from django.utils import timezone

from django_secure_sessions.conf import conf
from django_secure_sessions.models import Session

from . import rows
from .ending import CHUNK, refreshed
from .rows import Row


def lag(idle: timedelta) -> timedelta:
    """
    Return how far the table may be behind the true activity of a session.

    Besides the touch interval. A touch goes to the table after half an idle timeout.
    """
    return idle / 2 if conf.touch_store == "cache" else timedelta(0)


def catch_up(sessions: Sequence[Session]) -> None:
    """
    Give objects of live sessions the last activity that the engine knows of.

    For pages that show them. Without ``TOUCH_STORE = "cache"`` the table knows it.
    """
    live = [session.pk for session in sessions if session.ended_at is None]
    if conf.touch_store != "cache" or not live:
        return
    found = Session.objects.using(rows.alias()).filter(pk__in=live)
    newest = refreshed([Row.of_facts(facts) for facts in found.values(*rows.FACTS)])
    moments = {row.id: row.last_activity for row in newest}
    for session in sessions:
        session.last_activity = moments.get(session.pk, session.last_activity)


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
