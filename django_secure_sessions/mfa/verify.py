"""
The one place where a proof is judged: at login, at step-up, wherever.

An attempt is charged first, then looked at, and what it spends commits together
with what it was spent for. So there is one budget, and no way around it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from django.db import transaction

from django_secure_sessions import events
from django_secure_sessions.backends.base import TrackedSession
from django_secure_sessions.backends.owning import Proof
from django_secure_sessions.exceptions import CodeRejected, SessionLimitReached
from django_secure_sessions.models import Authenticator, UserSecurity
from django_secure_sessions.state import ClientInfo, EventKind

from . import devices, factors, pending, recovery, room, throttle, totp, webauthn


class Proven(NamedTuple):
    """What a proof showed: a method (RFC 8176), a level, and by which factor."""

    method: str
    aal: int
    authenticator: Authenticator | None = None


class Answer(Protocol):
    """Something a user shows to prove who they are."""

    def spend(self, user_id: Any, now: datetime) -> Proven:
        """Spend it, or raise ``CodeRejected``."""


class Code(NamedTuple):
    """Six digits from an authenticator app."""

    digits: str

    def spend(self, user_id: Any, now: datetime) -> Proven:
        return Proven("otp", 2, totp.consume(user_id, self.digits, now))


class RecoveryCode(NamedTuple):
    """One of the codes kept for the day the app is lost."""

    text: str

    def spend(self, user_id: Any, now: datetime) -> Proven:
        return Proven("recovery", 2, recovery.consume(user_id, self.text, now))


class Assertion(NamedTuple):
    """The signature of a security key or passkey over a challenge of ours."""

    answer: dict[str, Any]
    challenge: webauthn.Challenge
    party: webauthn.Party

    def spend(self, user_id: Any, now: datetime) -> Proven:
        found = webauthn.consume(user_id, self.answer, self.challenge, self.party, now)
        return Proven("hwk", 2, found)


class Password(NamedTuple):
    """The password once more. Proves nothing for a user who has a second factor."""

    is_right: Callable[[], bool]

    def spend(self, user_id: Any, now: datetime) -> Proven:
        if factors.has_factor(user_id) or not self.is_right():
            raise CodeRejected
        return Proven("pwd", 1)


def parse_code(code: object) -> Code:
    """Return what was typed as a ``Code``; raise ``MalformedCode`` for no code."""
    return Code(totp.parse(code))


def parse_recovery_code(code: object) -> RecoveryCode:
    """Return what was typed as a ``RecoveryCode``; raise ``MalformedCode``."""
    return RecoveryCode(recovery.parse(code))


def finish_login(
    session: TrackedSession, answer: Answer, *, now: datetime, client: ClientInfo
) -> tuple[pending.Pending, Any]:
    """
    Finish the session's half-done login and return what it was, and the user.

    Where the limit asks first, it waits for ``ROOM`` afterwards. Raise
    ``NothingPending``, ``CodeRejected`` or ``AttemptsExhausted``.
    """
    found, user = pending.find(session, now)

    def bind(proven: Proven) -> None:
        nonlocal found
        found = found.with_factor(proven.method)
        try:
            pending.complete(session, found, user)
        except SessionLimitReached as error:
            if not error.asks:
                raise
            found = room.wait(session, found, now)

    try:
        _judge(user, answer, bind, now=now, client=client, session_id=session.public_id)
    except CodeRejected:
        pending.count_try(session, found)
        raise
    return found, user


def step_up(
    session: TrackedSession,
    user: Any,
    answer: Answer,
    *,
    now: datetime,
    client: ClientInfo,
) -> None:
    """
    Renew, and with a second factor raise, the authentication of a session.

    Raise ``CodeRejected`` or ``AttemptsExhausted``. Whoever acts as the user has
    nothing to show: refused before anything is charged or spent.
    """
    if session.impersonator:
        raise CodeRejected("impersonation")

    def elevate(proven: Proven) -> None:
        # What only stood in for the factor is replaced by the factor itself.
        known = [word for word in session.amr if word != devices.METHOD]
        amr = " ".join(dict.fromkeys([*known, proven.method]))
        session.elevate(Proof(max(proven.aal, session.aal), amr))

    _judge(
        user,
        answer,
        elevate,
        now=now,
        client=client,
        session_id=session.public_id,
        kind=EventKind.STEP_UP,
    )


def _judge(
    user: Any,
    answer: Answer,
    then: Callable[[Proven], None],
    *,
    now: datetime,
    client: ClientInfo,
    session_id: UUID | None = None,
    kind: EventKind = EventKind.MFA_VERIFIED,
) -> None:
    """Charge, look, spend and act; the last two in one transaction."""

    def note(kind: EventKind, **detail: Any) -> None:
        event = events.build(
            kind,
            now=now,
            user_id=user.pk,
            session_id=session_id,
            client=client,
            username=user.get_username(),
            detail=detail,
        )
        events.record([event])

    number = throttle.charge(user.pk, now)
    using = factors.using()
    try:
        with transaction.atomic(using=using):
            # First, and by a write: whoever waits here reads the newest rows after.
            UserSecurity.lock(user.pk, now, using)
            proven = answer.spend(user.pk, now)
            throttle.reset(user.pk)
            note(kind, method=proven.method)
            if proven.method == "recovery":
                note(EventKind.RECOVERY_USED, left=recovery.remaining(user.pk))
            # Last: should the session refuse, everything above is undone.
            then(proven)
    except CodeRejected as refusal:
        _punish(user.pk, number, partial(note, why=refusal.why), now)
        raise


def _punish(
    user_id: Any, number: int, note: Callable[..., None], now: datetime
) -> None:
    with transaction.atomic(using=factors.using()):
        note(EventKind.MFA_FAILED, failures=number)
        if number == throttle.NOTICE_AT:
            note(EventKind.MFA_LOCKED, failures=number)
        if number >= throttle.DISABLED_AT:
            factors.disable_all(user_id, now)
            note(EventKind.MFA_DISABLED, failures=number)
