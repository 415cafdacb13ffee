"""
The verbs. Everything that people see, admin, pages, JSON and commands, calls these.

A session is *ended*, never deleted: its payload is wiped, the row stays as history
for ``HISTORY``, and its browser is told why. All ends are conditional on a live row
and return what this call ended, so repeating one is harmless.

``client`` is the one that asked for an end, for the audit; left out, it is the one
whose request is being served, and outside of any the session's own.
"""

from __future__ import annotations

from collections.abc import Collection
from contextvars import ContextVar, Token
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.utils import timezone

from . import events, policy
from .backends import rows
from .backends.base import TrackedSession
from .backends.conflicts import retried
from .backends.ending import CHUNK, end_rows, forget, refreshed
from .backends.rows import Row
from .conf import conf
from .models import Session, TrustedDevice
from .state import ClientInfo, EndReason

# The session of the request being served. A model's signals have no request, and a
# password change must spare the session that made it.
_current: ContextVar[TrackedSession | None] = ContextVar(
    "secure_sessions_current", default=None
)


def serving(session: TrackedSession) -> Token[TrackedSession | None]:
    """Say whose request this context serves; ``served`` takes the token back."""
    return _current.set(session)


def served(token: Token[TrackedSession | None]) -> None:
    _current.reset(token)


def current_session_of(user: Any) -> UUID | None:
    """Return the public id of the session being served, if it is this user's."""
    session = _current.get()
    if session is None or session.user_id != user.pk:
        return None
    return session.public_id


def _client_at_hand() -> ClientInfo | None:
    """Return the client of the request being served, if there is one."""
    session = _current.get()
    return None if session is None else session.client


def live_sessions(user: Any, now: datetime | None = None) -> list[Row]:
    """Return a user's live sessions, the most recently active first."""
    now = now or timezone.now()
    found = [
        row
        for row in refreshed(rows.fetch_live_of(rows.alias(), user.pk))
        if policy.evaluate(row, TrackedSession.rules_of(row), now).live
    ]
    return sorted(found, key=lambda row: row.last_activity, reverse=True)


def end(
    session_id: UUID,
    *,
    reason: EndReason = EndReason.REVOKED,
    actor: str = events.SYSTEM,
    client: ClientInfo | None = None,
) -> bool:
    """End one session by its public id. ``actor`` is a username for the audit."""
    row = rows.fetch(rows.alias(), "id", session_id)
    return bool(row and _end([row], reason, actor, client))


def end_all(
    user: Any,
    *,
    reason: EndReason = EndReason.REVOKED,
    actor: str = events.SYSTEM,
    client: ClientInfo | None = None,
) -> int:
    """End every session of a user and return how many ended."""
    return end_others(user, None, reason=reason, actor=actor, client=client)


def end_others(
    user: Any,
    keep: UUID | None,
    *,
    reason: EndReason = EndReason.REVOKED,
    actor: str = events.SYSTEM,
    client: ClientInfo | None = None,
) -> int:
    """
    End a user's sessions but the one with the public id ``keep``.

    Every other browser that the user trusted has to show a code again.
    """
    trusted = _trusted()
    if trusted is not None:
        others = models.Q() if keep is None else ~models.Q(session_id=keep)
        trusted.filter(others, user_id=user.pk).delete()
    found = rows.fetch_live_of(rows.alias(), user.pk)
    return _end([row for row in found if row.id != keep], reason, actor, client)


def end_matching(
    sessions: models.QuerySet[Session],
    *,
    reason: EndReason = EndReason.REVOKED,
    actor: str = events.SYSTEM,
    client: ClientInfo | None = None,
) -> int:
    """
    End the sessions of a queryset, batch by batch, and return how many ended.

    Sessions without a user leave no history: they are deleted.
    """
    using, count = rows.alias(), 0
    due = sessions.using(using).filter(ended_at=None).order_by("pk")
    batch = due
    while facts := list(batch.values(*rows.FACTS)[:CHUNK]):
        count += _end([Row.of_facts(row) for row in facts], reason, actor, client)
        batch = due.filter(pk__gt=facts[-1]["id"])
    return count


def _end(
    found: list[Row], reason: EndReason, actor: str, client: ClientInfo | None
) -> int:
    using, now = rows.alias(), timezone.now()
    client = client or _client_at_hand()
    owned = [row for row in found if row.user_id is not None and not row.ended_at]

    def end_owned() -> int:
        with transaction.atomic(using=using):
            done = end_rows(
                owned, reason, now=now, actor=actor, client=client, using=using
            )
            users = {row.user_id for row in owned}
            distrust(users, [row.id for row in owned], now)
            return done

    count = retried(end_owned, using)
    anonymous = [row for row in found if row.user_id is None]
    count += sum(rows.delete_anonymous(using, row.id) for row in anonymous)
    forget(anonymous)
    return count


def _trusted() -> models.QuerySet[TrustedDevice] | None:
    """Return the trusted browsers, ``None`` where the site trusts none."""
    if conf.mfa_trusted_device_age is None:
        return None
    return TrustedDevice._base_manager.using(rows.alias())


def distrust(
    users: Collection[Any], session_ids: Collection[UUID], now: datetime
) -> None:
    """
    Make the browsers that sessions of these users were in show a code again.

    For sessions that ended from another place. Whoever has none left has ended them
    all: then it is every browser.
    """
    trusted = _trusted()
    if trusted is None or not session_ids:
        return
    trusted = trusted.filter(user_id__in=users)
    trusted.filter(session_id__in=session_ids).delete()
    live = Session._base_manager.using(rows.alias()).filter(user_id__in=users)
    left = live.filter(ended_at=None, expires_at__gt=now).values_list("user_id")
    trusted.exclude(user_id__in=[user_id for (user_id,) in left.distinct()]).delete()
