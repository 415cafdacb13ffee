"""End sessions: the row, its history, and whoever must hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db import transaction

from django_secure_sessions import events
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.signals import session_ended
from django_secure_sessions.state import ClientInfo, EndReason, EventKind

from . import rows
from .rows import Row

# Statements stay far below every database's limit on parameters.
CHUNK = 500


def end_rows(
    found: Sequence[Row],
    reason: EndReason,
    *,
    now: datetime,
    actor: str = events.SYSTEM,
    client: ClientInfo | None = None,
    using: str,
    along: Sequence[SessionEvent] = (),
) -> int:
    """
    End sessions of users and return how many ended by this very call.

    ``client`` is the one that asked, where a request did: the events name it, and
    the client of the session in their detail if that is another. Without it they
    name the client of each session. Events ``along`` are written in the same
    statement as the first of ours.
    """
    count = 0
    if not found:
        events.record(along)
    for start in range(0, len(found), CHUNK):
        chunk = found[start : start + CHUNK]
        ended = rows.end(using, [row.id for row in chunk], reason.value, now)
        count += ended
        if ended != len(chunk):
            chunk = _ended_here(chunk, reason, now, using)
        events.record(
            [
                *along,
                *(_event(row, reason, now, actor, client) for row in chunk),
            ]
        )
        along = ()
        if chunk:
            # Now and not on commit: what a login ends is then forgotten in one
            # go with the key that the login replaced.
            forget(chunk)
            transaction.on_commit(
                partial(announce, chunk, reason, actor), using=using, robust=True
            )
    return count


def _event(
    row: Row, reason: EndReason, now: datetime, actor: str, client: ClientInfo | None
) -> SessionEvent:
    own = ClientInfo(row.ip_address, row.user_agent)
    detail = {}
    if client is not None and client != own:
        detail["session_client"] = {
            "ip_address": own.ip,
            "user_agent": own.user_agent,
        }
    return events.build(
        EventKind(reason.value),
        now=now,
        user_id=row.user_id,
        session_id=row.id,
        client=client or own,
        actor=actor,
        detail=detail,
    )


def forget(found: Sequence[Row]) -> None:
    """
    Make the engine in use drop every copy it keeps of these sessions.

    In a transaction that is done as soon as it is committed.
    """
    if hasattr(engine(), "forget"):
        engine().forget(found)


def refreshed(found: Sequence[Row]) -> Sequence[Row]:
    """Return rows with the last activity that the engine in use knows of."""
    refresh = getattr(engine(), "refreshed", None)
    return refresh(found) if refresh else found


def engine() -> Any:
    """The class of the engine in use, which may be foreign."""
    return import_module(settings.SESSION_ENGINE).SessionStore


def keeps_copies() -> bool:
    """Whether the engine in use keeps copies of sessions outside the database."""
    return bool(getattr(engine(), "keeps_copies", False))


def announce(found: Sequence[Row], reason: EndReason, actor: str) -> None:
    """Tell receivers of sessions that ended. For after the commit."""
    if not session_ended.has_listeners(Session):
        return
    for row in found:
        session_ended.send_robust(
            Session,
            session_id=row.id,
            user_id=row.user_id,
            reason=reason.value,
            actor=actor,
        )


def _ended_here(
    found: Sequence[Row], reason: EndReason, now: datetime, using: str
) -> list[Row]:
    """Somebody else ended some of these in the meantime: keep ours."""
    mine = set(
        Session.objects.using(using)
        .filter(pk__in=[row.id for row in found], ended_at=now, end_reason=reason.value)
        .values_list("pk", flat=True)
    )
    return [row for row in found if row.id in mine]
