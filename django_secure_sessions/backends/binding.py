"""Bind a session to a user, and make room for it, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from django_secure_sessions import events, limits, policy
from django_secure_sessions.exceptions import SessionLimitReached
from django_secure_sessions.models import Session, SessionEvent, UserSecurity
from django_secure_sessions.signals import session_authenticated
from django_secure_sessions.state import (
    ClientInfo,
    EndReason,
    EventKind,
    LimitStrategy,
    Rules,
)

from . import rows
from .conflicts import retried
from .ending import end_rows, refreshed
from .rows import Row


@dataclass(frozen=True)
class Login:
    """One user about to own one more session."""

    user_id: Any
    rules: Rules
    client: ClientInfo
    now: datetime
    using: str
    # Somebody else acting as the user: neither counted nor evicting.
    impersonator: str = ""
    # For the history, where the user object is at hand: it outlives the user.
    username: str = ""
    # Under ``ask``, the sessions that the user chose to end; ``None`` until asked.
    ending: Collection[UUID] | None = None


def bind(
    login: Login, write: Callable[[], Row], rules_of: Callable[[Row], Rules]
) -> Row:
    """
    Run ``write``, which gives a session its user, and hold the user to the limit.

    The user's own lock row is taken first, so of any number of parallel logins one
    counts at a time: at no commit has the user more live sessions than allowed.
    ``rules_of`` gives the rules each other session lives under. Raise
    ``SessionLimitReached`` under ``reject``, and under ``ask`` until the user has
    chosen enough of them; then nothing is written but, the first time, the event.
    """
    try:
        return retried(partial(_bind, login, write, rules_of), login.using)
    except SessionLimitReached as error:
        if login.ending is None:
            kind = EventKind.LIMIT_ASKED if error.asks else EventKind.LIMIT_REJECTED
            events.record([_event(login, kind)])
        raise


def bind_again(login: Login, write: Callable[[], Row]) -> Row:
    """
    Run ``write``, which renews the session of a user who signed in once more.

    On record and announced as any login is. No session is added, so none makes room.
    """

    def again() -> Row:
        with transaction.atomic(using=login.using):
            row = write()
            events.record([_event(login, EventKind.LOGIN, row)])
            _announce_on_commit(login, row)
        return row

    return retried(again, login.using)


def _bind(
    login: Login, write: Callable[[], Row], rules_of: Callable[[Row], Rules]
) -> Row:
    limit = None if login.impersonator else login.rules.max_sessions
    with transaction.atomic(using=login.using):
        if limit is not None:
            UserSecurity.lock(login.user_id, login.now, login.using)
        row = write()
        victims: list[Row] = []
        if limit is not None:
            victims = _make_room(login, limit, row, rules_of)
        # One statement for the history of the newcomer and of those who leave.
        end_rows(
            victims,
            EndReason.EVICTED,
            now=login.now,
            actor=login.username if _asks(login) else events.SYSTEM,
            client=login.client,
            using=login.using,
            along=[_event(login, EventKind.LOGIN, row)],
        )
        _announce_on_commit(login, row)
    return row


def _make_room(
    login: Login, limit: int, row: Row, rules_of: Callable[[Row], Rules]
) -> list[Row]:
    verdicts = [
        (other, policy.evaluate(other, rules_of(other), login.now))
        for other in refreshed(rows.fetch_live_of(login.using, login.user_id))
        if other.id != row.id and not other.impersonator
    ]
    live = [other for other, verdict in verdicts if verdict.live]
    victims = limits.choose_victims(
        live, limit, login.rules.strategy, login.ending or ()
    )
    if len(live) - len(victims) >= limit:
        first = min((v.deadline for _, v in verdicts if v.live), default=None)
        raise SessionLimitReached(limit, first, asks=_asks(login))
    return victims


def _asks(login: Login) -> bool:
    return login.rules.strategy is LimitStrategy.ASK


def _event(login: Login, kind: EventKind, row: Row | None = None) -> SessionEvent:
    return events.build(
        kind,
        now=login.now,
        user_id=login.user_id,
        session_id=row.id if row else None,
        client=login.client,
        actor=login.impersonator,
        username=login.username,
        # No method was shown to us: another engine's session moved here.
        detail={"moved": True} if row and not row.amr else None,
    )


def _announce_on_commit(login: Login, row: Row) -> None:
    transaction.on_commit(
        partial(_announce, row, login.client), using=login.using, robust=True
    )


def _announce(row: Row, client: ClientInfo) -> None:
    session_authenticated.send_robust(
        Session, session_id=row.id, user_id=row.user_id, aal=row.aal, client=client
    )
