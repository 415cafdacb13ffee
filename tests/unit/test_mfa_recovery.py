"""Recovery codes: strong, shown once, spent once."""

from __future__ import annotations

import pytest

from django_secure_sessions.exceptions import CodeRejected, MalformedCode
from django_secure_sessions.mfa import factors, recovery
from django_secure_sessions.models import Authenticator, RecoveryCode
from tests.factories import UserFactory
from tests.mfa import NOON, give_recovery_codes


@pytest.fixture
def codes(user):
    """Return the ten codes of the user."""
    return give_recovery_codes(user)


def test_ten_codes_of_eighty_secret_bits(codes):
    """Twenty base32 characters each, of which the selector is no secret."""
    assert len(set(codes)) == 10
    for code in codes:
        text = code.replace("-", "")
        assert len(text) == 20
        assert set(text) <= set(recovery.ALPHABET)
    bits_per_character = 5
    assert (20 - recovery.SELECTOR) * bits_per_character >= 80


def test_a_code_is_spent_by_its_use(user, codes):
    """Once, and nine are left."""
    recovery.consume(user.pk, codes[0], NOON)

    assert recovery.remaining(user.pk) == 9
    with pytest.raises(CodeRejected) as refused:
        recovery.consume(user.pk, codes[0], NOON)
    assert refused.value.why == "spent"


def test_two_spent_codes_stay_spent(user, codes):
    """Each code is a row of its own: no list to write back."""
    recovery.consume(user.pk, codes[0], NOON)
    recovery.consume(user.pk, codes[1], NOON)

    assert RecoveryCode.objects.filter(used_at=NOON).count() == 2


@pytest.mark.parametrize(
    "spell",
    [
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", " "),
        lambda code: code.replace("O", "0").replace("I", "1").replace("B", "8"),
    ],
)
def test_a_code_copied_from_paper_is_found(user, codes, spell):
    """Case, grouping and look-alike digits don't matter."""
    recovery.consume(user.pk, spell(codes[3]), NOON)
    assert recovery.remaining(user.pk) == 9


@pytest.mark.parametrize(
    "typed",
    [None, 1, [], {}, "", "123456", "A" * 19, "A" * 21, "!" * 20, "\u0410" * 20],
)
def test_anything_else_is_no_code(typed):
    """Other types and shapes are refused as malformed."""
    with pytest.raises(MalformedCode):
        recovery.parse(typed)


def test_a_wrong_code_with_a_right_selector_is_refused(user, codes):
    """The selector finds the row; it proves nothing."""
    code = codes[0].replace("-", "")
    forged = code[:4] + code[4:][::-1]
    assert forged != code
    with pytest.raises(CodeRejected):
        recovery.consume(user.pk, forged, NOON)
    assert recovery.remaining(user.pk) == 10


def test_the_code_of_another_user_is_refused(codes):
    """Everybody's codes are their own."""
    stranger = UserFactory()
    give_recovery_codes(stranger)
    with pytest.raises(CodeRejected):
        recovery.consume(stranger.pk, codes[0], NOON)


def test_new_codes_kill_the_old_ones(user, codes):
    """After a regeneration ten new codes work and none of the old."""
    fresh = recovery.generate(user, NOON)

    assert recovery.remaining(user.pk) == 10
    with pytest.raises(CodeRejected):
        recovery.consume(user.pk, codes[0], NOON)
    recovery.consume(user.pk, fresh[0], NOON)


def test_disabled_codes_prove_nothing(user, codes):
    """Fifty failures put recovery codes out of use as well."""
    factors.disable_all(user.pk, NOON)
    with pytest.raises(CodeRejected):
        recovery.consume(user.pk, codes[0], NOON)


def test_recovery_codes_alone_are_no_second_factor(user, codes):
    """They only stand in for an app or a key."""
    assert Authenticator.objects.filter(user=user).exists()
    assert not factors.has_factor(user.pk)
