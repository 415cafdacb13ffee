"""Refusals. Each carries its evidence, never a secret."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.sessions.backends.base import UpdateError


class SecureSessionsError(Exception):
    """Base class of every error this package raises on purpose."""


class SessionEnded(SecureSessionsError, UpdateError):
    """
    A write found its session ended, replaced or gone.

    Subclasses Django's ``UpdateError``, which ``SessionMiddleware`` and foreign
    code already understand. ``reason`` is an ``EndReason`` value, or ``""`` when
    the row no longer exists.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "The session no longer exists.")
        self.reason = reason


class SessionLimitReached(SecureSessionsError):
    """
    A login was refused because the user has as many live sessions as allowed.

    Raised by the strategies ``reject`` and ``ask`` only. ``limit`` is the number
    allowed, ``retry_at`` the moment the first of the live ones ends by itself, and
    ``asks`` whether the user may choose which of them to end.
    """

    def __init__(
        self, limit: int, retry_at: datetime | None = None, *, asks: bool = False
    ) -> None:
        super().__init__(f"The limit of {limit} live sessions is reached.")
        self.limit = limit
        self.retry_at = retry_at
        self.asks = asks


class ClockMistrusted(SecureSessionsError):
    """
    A clean-up was refused because the clock seems wrong.

    ``ahead`` is how far the clock of this process is ahead of the database's;
    ``over`` of ``live`` signed-in sessions would have ended by it.
    """

    def __init__(self, ahead: timedelta, over: int, live: int) -> None:
        super().__init__(
            f"The clock here is {ahead} ahead of the database's. Believing it would "
            f"end {over} of {live} live sessions. Nothing was changed."
        )
        self.ahead = ahead
        self.over = over
        self.live = live


class SessionDataError(SecureSessionsError, TypeError):
    """
    A typed session field holds, or was given, a value of another type.

    ``field`` is the attribute ("Shop.recent"), ``expected`` and ``found`` spell
    types ("list[int]"). The value itself is nowhere: it may be a secret.
    """

    def __init__(self, field: str, expected: str, found: str) -> None:
        super().__init__(field, expected, found)
        self.field = field
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"{self.field} expects {self.expected}, found {self.found}."


class SecondFactorError(SecureSessionsError):
    """Base class of what a step of a login, or a step-up, may be refused with."""


class MalformedCode(SecondFactorError, ValueError):
    """What was sent is no code of any kind. It costs no attempt."""

    def __init__(self) -> None:
        super().__init__("Not a code.")


class CodeRejected(SecondFactorError):
    """
    The proof does not hold: wrong, used before, too early or too late.

    Which of these, ``why`` says: for the audit trail, never for the answer.
    """

    def __init__(self, why: str = "wrong") -> None:
        super().__init__("The code is not valid.")
        self.why = why


class AttemptsExhausted(SecondFactorError):
    """
    The user's attempt budget is spent: nothing is evaluated before ``retry_at``.

    ``None`` when waiting does not help.
    """

    def __init__(self, retry_at: datetime | None = None) -> None:
        super().__init__("Too many attempts.")
        self.retry_at = retry_at


class FactorsDisabled(AttemptsExhausted):
    """Too many failures in a row: only an administrator's reset helps."""


class MalformedChoice(SecondFactorError, ValueError):
    """What was sent names something else than sessions of the user."""

    def __init__(self) -> None:
        super().__init__("Not a choice among the user's sessions.")


class NothingPending(SecondFactorError):
    """No login is waiting for this step, or not any more."""

    def __init__(self) -> None:
        super().__init__("No login is waiting for this step.")
