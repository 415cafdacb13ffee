"""
The attempt budget: one per user, over all factors, sessions and addresses.

It is charged before an attempt is looked at, by one conditional UPDATE, so of any
number of parallel guesses only as many are evaluated as the budget has left.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models, router, transaction
from django.db.models import Case, F, Q, Value, When

from django_secure_sessions.exceptions import AttemptsExhausted, FactorsDisabled
from django_secure_sessions.models import UserSecurity

# SP 800-63B-4, 3.2.2: waiting times from 30 seconds up to an hour, and an end to
# it all after at most 100 failures in a row.
FREE_FAILURES = 4
DISABLED_AT = 50
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=1)
# The failure that makes its owner wait is the one worth a notice.
NOTICE_AT = FREE_FAILURES + 1


def delay_after(failures: int) -> timedelta:
    """Return how long the next attempt must wait after so many failures in a row."""
    if failures <= FREE_FAILURES:
        return timedelta(0)
    doublings = min(failures - FREE_FAILURES - 1, 16)
    return min(FIRST_DELAY * (1 << doublings), LONGEST_DELAY)


def charge(user_id: Any, now: datetime) -> int:
    """
    Take one attempt from a user's budget and return its number, from 1 on.

    Raise ``AttemptsExhausted`` while the user has to wait, ``FactorsDisabled`` when
    there were too many failures: then the attempt must not be evaluated at all.
    """
    using = _using()
    number = _charge(user_id, now, using)
    if number is None:
        _refuse_if_blocked(user_id, now, using)
        # No row yet: this is the user's first attempt ever.
        UserSecurity._base_manager.using(using).bulk_create(
            [UserSecurity(user_id=user_id)], ignore_conflicts=True
        )
        number = _charge(user_id, now, using)
    if number is None:
        _refuse_if_blocked(user_id, now, using)
        raise AttemptsExhausted(now + FIRST_DELAY)
    return number


def reset(user_id: Any) -> None:
    """Forget a user's failures. For a complete success, or an administrator."""
    _rows(user_id, _using()).update(failures=0, locked_until=None)


def refuse_if_blocked(user_id: Any, now: datetime) -> None:
    """Raise as ``charge`` would, without charging anything."""
    _refuse_if_blocked(user_id, now, _using())


def _using() -> str:
    return router.db_for_write(UserSecurity)


def _rows(user_id: Any, using: str) -> models.QuerySet[UserSecurity]:
    return UserSecurity._base_manager.using(using).filter(user_id=user_id)


def _charge(user_id: Any, now: datetime, using: str) -> int | None:
    is_open = Q(locked_until=None) | Q(locked_until__lte=now)
    found = _rows(user_id, using).filter(is_open, failures__lt=DISABLED_AT)
    steps = [
        When(failures=number - 1, then=Value(now + delay_after(number)))
        for number in range(NOTICE_AT, DISABLED_AT)
        if delay_after(number) < LONGEST_DELAY
    ]
    longest = Q(failures__gte=FREE_FAILURES)
    # In this order: MariaDB assigns from left to right, each seeing the one before.
    values = {
        "locked_until": Case(
            *steps,
            When(longest, then=Value(now + LONGEST_DELAY)),
            default=None,
            output_field=models.DateTimeField(),
        ),
        "failures": F("failures") + 1,
    }
    with transaction.atomic(using=using):
        if not found.update(**values):
            return None
        # The row is ours until the commit, so this is our own number.
        return int(_rows(user_id, using).values_list("failures", flat=True)[0])


def _refuse_if_blocked(user_id: Any, now: datetime, using: str) -> None:
    row = _rows(user_id, using).first()
    if row is None:
        return
    if row.failures >= DISABLED_AT:
        raise FactorsDisabled
    if row.locked_until is not None and row.locked_until > now:
        raise AttemptsExhausted(row.locked_until)
