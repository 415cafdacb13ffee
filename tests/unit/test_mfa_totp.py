"""Codes of authenticator apps: the right one, in time, and once."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone

import pyotp
import pytest
from django.test import override_settings

from django_secure_sessions.exceptions import CodeRejected, MalformedCode
from django_secure_sessions.mfa import factors, totp
from django_secure_sessions.models import Authenticator
from tests.factories import UserFactory
from tests.mfa import NOON, code_at, give_totp, wrong_code

STEP = timedelta(seconds=30)

# RFC 6238, appendix B, the SHA-1 rows: seconds since the epoch, 8 digits.
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_the_arithmetic_is_that_of_the_rfc(seconds, code):
    """With the RFC's secret the library gives the RFC's codes."""
    assert pyotp.TOTP(RFC_SECRET, digits=8).at(seconds) == code


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_a_code_of_the_rfc_is_accepted(user, seconds, code, monkeypatch):
    """The last six digits of each vector open the door at its time."""
    monkeypatch.setattr(pyotp, "random_base32", lambda: RFC_SECRET)
    give_totp(user)
    moment = datetime.fromtimestamp(seconds, timezone.utc)

    totp.consume(user.pk, code[2:], moment)

    assert Authenticator.objects.get().last_step == seconds // 30


class TestSpelling:
    @pytest.mark.parametrize("typed", ["123456", " 123 456 ", "1 2 3 4 5 6"])
    def test_spaces_are_how_apps_show_codes(self, typed):
        """A code is found whatever ASCII spaces stand in it."""
        assert totp.parse(typed) == "123456"

    @pytest.mark.parametrize(
        "typed",
        [
            123456,
            None,
            [],
            ["123456"],
            {},
            True,
            b"123456",
            "",
            "12345",
            "1234567",
            "12345a",
            "123\t456",
            "123456\n",
            "\N{NO-BREAK SPACE}123456",
            "\uff11\uff12\uff13\uff14\uff15\uff16",
            "\u0661\u0662\u0663\u0664\u0665\u0666",
            "-12345",
            " " * 1000 + "123456",
        ],
    )
    def test_anything_else_is_no_code(self, typed):
        """Other types, other digits, other lengths are refused as malformed."""
        with pytest.raises(MalformedCode):
            totp.parse(typed)


class TestOnce:
    def test_a_code_is_spent_by_its_use(self, user):
        """The same code a second time is refused."""
        secret = give_totp(user)
        totp.consume(user.pk, code_at(secret, NOON), NOON)

        with pytest.raises(CodeRejected) as refused:
            totp.consume(user.pk, code_at(secret, NOON), NOON)
        assert refused.value.why == "spent"

    def test_an_older_code_is_refused_after_a_newer_one(self, user):
        """The step before an accepted step is over, though in the window."""
        secret = give_totp(user)
        totp.consume(user.pk, code_at(secret, NOON), NOON)

        with pytest.raises(CodeRejected):
            totp.consume(user.pk, code_at(secret, NOON, -1), NOON)

    def test_a_newer_code_is_accepted_after_an_older_one(self, user):
        """Steps rise, so the next code is good."""
        secret = give_totp(user)
        totp.consume(user.pk, code_at(secret, NOON), NOON)

        totp.consume(user.pk, code_at(secret, NOON + STEP), NOON + STEP)

    def test_a_factor_replaced_in_between_is_not_satisfied(self, user, monkeypatch):
        """A code checked against a factor that is then removed spends nothing."""
        secret = give_totp(user)
        check = totp._matching_step

        def check_and_lose(*args):
            step = check(*args)
            monkeypatch.undo()
            Authenticator.objects.all().delete()
            give_totp(user)
            return step

        monkeypatch.setattr(totp, "_matching_step", check_and_lose)

        with pytest.raises(CodeRejected):
            totp.consume(user.pk, code_at(secret, NOON), NOON)
        assert Authenticator.objects.get().last_step == -1

    def test_the_code_of_the_enrolment_is_spent(self, user):
        """What confirmed a factor does not log in with it."""
        enrolment = totp.new_enrolment()
        code = code_at(enrolment.secret, NOON)
        totp.confirm(user, enrolment, code, "phone", NOON)

        with pytest.raises(CodeRejected):
            totp.consume(user.pk, code, NOON)

    def test_an_enrolment_is_confirmed_once(self, user):
        """A second confirmation, in another tab, makes no second factor."""
        enrolment = totp.new_enrolment()
        totp.confirm(user, enrolment, code_at(enrolment.secret, NOON), "a", NOON)

        with pytest.raises(CodeRejected):
            totp.confirm(user, enrolment, code_at(enrolment.secret, NOON, 1), "b", NOON)
        assert Authenticator.objects.count() == 1


class TestWindow:
    @pytest.mark.parametrize("offset", [-1, 0, 1])
    def test_one_step_beside_is_near_enough(self, user, offset):
        """A clock half a minute off still works."""
        secret = give_totp(user)
        totp.consume(user.pk, code_at(secret, NOON, offset), NOON)

    @pytest.mark.parametrize("offset", [-2, 2])
    def test_two_steps_beside_are_too_far(self, user, offset):
        """A code lives for 90 seconds at most."""
        secret = give_totp(user)
        with pytest.raises(CodeRejected):
            totp.consume(user.pk, code_at(secret, NOON, offset), NOON)

    @pytest.mark.parametrize("offset", [-1, 1])
    def test_a_strict_site_takes_the_current_step_only(self, user, offset):
        """A window of 0 leaves 30 seconds."""
        secret = give_totp(user)
        with (
            override_settings(SECURE_SESSIONS={"MFA_WINDOW": 0}),
            pytest.raises(CodeRejected),
        ):
            totp.consume(user.pk, code_at(secret, NOON, offset), NOON)


class TestFactors:
    def test_any_app_of_the_user_will_do(self, user):
        """With two apps a code of the second is accepted."""
        give_totp(user)
        second = give_totp(user)

        totp.consume(user.pk, code_at(second, NOON), NOON)

    def test_the_code_of_another_user_is_refused(self, user):
        """Everybody's codes are their own."""
        give_totp(user)
        secret = give_totp(UserFactory())
        with pytest.raises(CodeRejected):
            totp.consume(user.pk, code_at(secret, NOON), NOON)

    def test_a_wrong_code_is_refused(self, user):
        """Six digits are not enough: they must be the right ones."""
        secret = give_totp(user)
        with pytest.raises(CodeRejected) as refused:
            totp.consume(user.pk, wrong_code(secret, NOON), NOON)
        assert refused.value.why == "wrong"

    @pytest.mark.parametrize("values", [{"confirmed_at": None}, {"disabled_at": NOON}])
    def test_only_a_working_factor_counts(self, user, values):
        """Unconfirmed and disabled factors prove nothing."""
        secret = give_totp(user, **values)
        with pytest.raises(CodeRejected):
            totp.consume(user.pk, code_at(secret, NOON), NOON)

    def test_a_disabled_factor_still_bars_the_way(self, user):
        """Too many failures must not turn the second factor off."""
        give_totp(user, disabled_at=NOON)
        assert factors.has_factor(user.pk)


def test_a_secret_has_160_bits_and_differs_each_time():
    """RFC 4226, R6: what is guessed here is guessed for good."""
    first, second = totp.new_enrolment(), totp.new_enrolment()
    assert len(base64.b32decode(first.secret)) == 20
    assert first.secret != second.secret
    assert first.id != second.id


def test_the_address_for_the_app_names_site_and_account():
    """The app shows which site and which account a code is for."""
    uri = totp.provisioning_uri(RFC_SECRET, "leila", "Tidemark")
    assert uri.startswith(f"otpauth://totp/Tidemark:leila?secret={RFC_SECRET}")
    assert "issuer=Tidemark" in uri
