"""Record what happened: one audit row, one signal, one log line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import router, transaction

from .models import SessionEvent
from .signals import event_recorded
from .state import ClientInfo, EventKind

logger = logging.getLogger("django_secure_sessions.events")

SYSTEM = "system"


def build(
    kind: EventKind,
    *,
    now: datetime,
    user_id: Any = None,
    session_id: UUID | None = None,
    client: ClientInfo | None = None,
    actor: str = "",
    username: str = "",
    detail: dict[str, Any] | None = None,
) -> SessionEvent:
    """Return an event that ``record`` will write. ``detail`` must hold no secret."""
    client = client or ClientInfo()
    return SessionEvent(
        at=now,
        kind=kind.value,
        user_id=user_id,
        username=username[:254],
        session_id=session_id,
        actor=actor[:254],
        ip_address=client.ip,
        user_agent=client.user_agent,
        detail=detail or {},
    )


def record(events: Sequence[SessionEvent]) -> None:
    """
    Write events in one statement.

    The log line and the ``event_recorded`` signal follow once the surrounding
    transaction commits, so nobody hears of what was rolled back.
    """
    if not events:
        return
    using = router.db_for_write(SessionEvent)
    if len(events) == 1:
        events[0].save(using=using, force_insert=True)
    else:
        SessionEvent._base_manager.using(using).bulk_create(events)
    transaction.on_commit(partial(_announce, events), using=using, robust=True)


def _announce(events: Sequence[SessionEvent]) -> None:
    for event in events:
        logger.info(
            "kind=%s session=%s user=%s actor=%s ip=%s",
            event.kind,
            event.session_id,
            event.user_id,
            _one_line(event.actor),
            event.ip_address,
        )
        event_recorded.send_robust(SessionEvent, event=event)


def _one_line(text: str) -> str:
    return text if text.isprintable() else ascii(text)
