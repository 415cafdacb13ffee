"""The attempt budget: who guesses waits, and whoever waits is not evaluated."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_secure_sessions.exceptions import AttemptsExhausted, FactorsDisabled
from django_secure_sessions.mfa import throttle
from django_secure_sessions.models import UserSecurity
from tests.factories import UserFactory
from tests.mfa import NOON

CURVE = {
    1: 0,
    4: 0,
    5: 30,
    6: 60,
    7: 120,
    8: 240,
    9: 480,
    10: 960,
    11: 1920,
    12: 3600,
    13: 3600,
    49: 3600,
}


@pytest.mark.parametrize(("failures", "seconds"), CURVE.items())
def test_the_curve(failures, seconds):
    """Four failures are free; then 30 seconds, doubling up to an hour."""
    assert throttle.delay_after(failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("failures", "seconds"), CURVE.items())
def test_a_charge_writes_what_the_curve_says(user, failures, seconds):
    """The database computes the same waiting time as the curve."""
    UserSecurity.objects.create(user=user, failures=failures - 1)

    assert throttle.charge(user.pk, NOON) == failures

    wanted = NOON + timedelta(seconds=seconds) if seconds else None
    assert UserSecurity.objects.get().locked_until == wanted


def test_five_attempts_and_then_a_wait(user):
    """The sixth attempt in a row is not looked at."""
    assert [throttle.charge(user.pk, NOON) for _ in range(5)] == [1, 2, 3, 4, 5]

    with pytest.raises(AttemptsExhausted) as refused:
        throttle.charge(user.pk, NOON)

    assert refused.value.retry_at == NOON + timedelta(seconds=30)
    assert UserSecurity.objects.get().failures == 5


def test_the_wait_ends(user):
    """After 30 seconds there is one attempt more."""
    for _ in range(5):
        throttle.charge(user.pk, NOON)

    assert throttle.charge(user.pk, NOON + timedelta(seconds=30)) == 6


def test_at_fifty_failures_waiting_does_not_help(user):
    """SP 800-63B-4, 3.2.2: the factors are disabled."""
    UserSecurity.objects.create(user=user, failures=50)
    with pytest.raises(FactorsDisabled) as refused:
        throttle.charge(user.pk, NOON + timedelta(days=365))
    assert refused.value.retry_at is None


def test_a_reset_gives_the_whole_budget_back(user):
    """After a success the count starts again."""
    for _ in range(5):
        throttle.charge(user.pk, NOON)

    throttle.reset(user.pk)

    assert throttle.charge(user.pk, NOON) == 1


def test_budgets_are_personal(user):
    """One user's failures, and resets, are nothing to another."""
    victim = UserFactory()
    for _ in range(5):
        throttle.charge(victim.pk, NOON)

    throttle.charge(user.pk, NOON)
    throttle.reset(user.pk)

    with pytest.raises(AttemptsExhausted):
        throttle.charge(victim.pk, NOON)


def test_a_charge_is_one_update(user, django_assert_num_queries):
    """Besides reading our own number back, nothing more."""
    throttle.charge(user.pk, NOON)
    with django_assert_num_queries(4):  # with the savepoint's two
        throttle.charge(user.pk, NOON)
