"""End sessions by time, many at once: what a request does for one, for a batch."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connections, models, router, transaction
from django.db.models import F

from django_secure_sessions import events, policy
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.signals import event_recorded
from django_secure_sessions.state import ClientInfo, EndReason, EventKind, Rules

from .ending import announce
from .opening import OpenedSession
from .rows import WIPED, Row

logger = logging.getLogger("django_secure_sessions.events")

# A deadline as the database computes it. The policy has chosen which one it is.
_DEADLINES: dict[EndReason, Callable[[Rules], Any]] = {
    EndReason.IDLE: lambda rules: F("last_activity") + rules.idle,
    EndReason.ABSOLUTE: lambda rules: F("authenticated_at") + rules.absolute,
    EndReason.EXPIRED: lambda rules: F("expires_at"),
}

# An event of an ended session: its columns, and those of the session, or constants.
_EVENT = {
    "at": "ended_at",
    "kind": "end_reason",
    "user": "user",
    "username": "''",
    "session_id": "id",
    "actor": f"'{events.SYSTEM}'",
    "ip_address": "ip_address",
    "user_agent": "user_agent",
    "detail": "'{}'",
}


def end_expired(
    due: models.QuerySet[Session], found: Sequence[dict[str, Any]], now: datetime
) -> int:
    """
    End sessions as of their own deadlines, each for the reason the policy gives.

    ``found`` are the ``rows.FACTS`` of sessions of users, all of them past their time
    and locked by the surrounding transaction. Return how many ended.
    """
    alike: dict[tuple[EndReason, Rules], list[Row]] = defaultdict(list)
    for values in found:
        row = Row.of_facts(values)
        rules = OpenedSession.rules_of(row)
        verdict = policy.evaluate(row, rules, now)
        alike[verdict.reason or EndReason.EXPIRED, rules].append(row)
    count = 0
    for (reason, rules), chunk in alike.items():
        ids = [row.id for row in chunk]
        count += due.filter(pk__in=ids).update(
            ended_at=_DEADLINES[reason](rules), end_reason=reason.value, **WIPED
        )
        _record(due.db, reason, ids)
        # Nobody has to forget copies: their own stamps say that their time is over.
        transaction.on_commit(
            partial(announce, chunk, reason, events.SYSTEM), using=due.db, robust=True
        )
    return count


def _record(using: str, reason: EndReason, ids: Sequence[UUID]) -> None:
    """
    Write the events of sessions that have just ended, inside the database.

    They are fetched, and sent one by one, only for somebody who listens to events,
    or when events live in another database.
    """
    audit = router.db_for_write(SessionEvent)
    if audit == using and not _has_listeners():
        connection = connections[using]
        params = [Session._meta.pk.get_db_prep_value(pk, connection) for pk in ids]
        with connection.cursor() as cursor:
            cursor.execute(_insert_events(using, len(ids)), params)
        message = "kind=%s sessions=%s actor=system"
        transaction.on_commit(
            partial(logger.info, message, reason.value, len(ids)),
            using=using,
            robust=True,
        )
        return
    ended = Session.objects.using(using).filter(pk__in=ids, end_reason=reason.value)
    events.record(
        [
            events.build(
                EventKind(reason.value),
                now=ended_at,
                user_id=user_id,
                session_id=pk,
                client=ClientInfo(ip, user_agent),
                actor=events.SYSTEM,
            )
            for pk, user_id, ended_at, ip, user_agent in ended.values_list(
                "pk", "user_id", "ended_at", "ip_address", "user_agent"
            )
            if ended_at is not None
        ]
    )


def _has_listeners() -> bool:
    """Whether the project hears events. Our own receivers hear none of these."""
    return any(
        not str(key[0]).startswith("secure_sessions.")
        for key, *_ in event_recorded.receivers
    )


def _insert_events(using: str, count: int) -> str:
    quote = connections[using].ops.quote_name

    def column(model: type[models.Model], name: str) -> str:
        field: Any = model._meta.get_field(name)
        return quote(field.column)

    names = ", ".join(column(SessionEvent, name) for name in _EVENT)
    values = ", ".join(
        source if source.startswith("'") else column(Session, source)
        for source in _EVENT.values()
    )
    return (
        f"INSERT INTO {quote(SessionEvent._meta.db_table)} ({names}) "  # noqa: S608
        f"SELECT {values} FROM {quote(Session._meta.db_table)} "
        f"WHERE {column(Session, 'id')} IN ({', '.join(['%s'] * count)})"
    )
