"""Commands for second factors: a new site key, and people from other packages."""

from __future__ import annotations

import base64
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from django_secure_sessions.exceptions import CodeRejected
from django_secure_sessions.mfa import factors, totp
from django_secure_sessions.models import Authenticator
from tests.mfa import NOON, code_at, give_recovery_codes, give_totp
from tests.packages import installed

pytestmark = pytest.mark.django_db

OLD = "a-key-for-tests-that-protects-nothing"


def run(*arguments):
    """Run a command and return what it says."""
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue() + err.getvalue()


class TestReseal:
    def test_after_it_the_old_key_can_go(self, user):
        """Sealed anew under the new key, the factor works without the old one."""
        secret = give_totp(user)
        give_recovery_codes(user)
        with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[OLD]):
            assert "Sealed anew: 1. Right already: 0." in run("reseal_secrets")
            assert "Sealed anew: 0. Right already: 1." in run("reseal_secrets")
        with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[]):
            totp.consume(user.pk, code_at(secret, NOON), NOON)

    def test_what_does_not_open_is_an_error(self, user):
        """A forgotten key is said, with what to do, and nothing is lost."""
        give_totp(user)
        before = bytes(Authenticator.objects.get().secret)
        with (
            override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[]),
            pytest.raises(CommandError, match="SECRET_KEY_FALLBACKS"),
        ):
            run("reseal_secrets")
        assert bytes(Authenticator.objects.get().secret) == before


@pytest.fixture(scope="module")
def django_otp(django_db_setup, django_db_blocker):
    """Install django-otp for this module, and return its model of an app."""
    pytest.importorskip("django_otp")
    names = ("django_otp", "django_otp.plugins.otp_totp")
    with django_db_blocker.unblock(), installed(*names):
        from django_otp.plugins.otp_totp.models import TOTPDevice

        yield TOTPDevice


class TestDjangoOTP:
    @pytest.fixture
    def device(self, user, django_otp):
        """Return a device that django-otp made for a user."""
        return django_otp.objects.create(user=user, name="phone")

    def secret_of(self, device):
        return base64.b32encode(device.bin_key).decode()

    def test_an_app_keeps_working(self, user, device, time_machine):
        """The same codes are good here, and a spent one stays spent."""
        time_machine.move_to(NOON, tick=False)
        secret = self.secret_of(device)
        assert device.verify_token(code_at(secret, NOON))

        assert "Taken over: 1." in run("import_authenticators", "django-otp")

        assert Authenticator.objects.get().name == "phone"
        assert factors.has_factor(user.pk)
        with pytest.raises(CodeRejected):
            totp.consume(user.pk, code_at(secret, NOON), NOON)
        totp.consume(user.pk, code_at(secret, NOON, 1), NOON)

    def test_nothing_comes_twice(self, device):
        """The command can be repeated."""
        run("import_authenticators", "django-otp")
        assert "Here already: 1." in run("import_authenticators", "django-otp")
        assert Authenticator.objects.count() == 1

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"digits": 8}, "6 digits"),
            ({"step": 60}, "30 seconds"),
            ({"t0": 7}, "30 seconds"),
            ({"key": "zz"}, "hexadecimal"),
            ({"key": "00" * 10}, "80 bits"),
        ],
    )
    def test_what_can_not_come_is_named(self, user, django_otp, device, change, reason):
        """One unfit device is left out and said; it stops nothing."""
        django_otp.objects.create(user=user, name="odd", **change)
        said = run("import_authenticators", "django-otp")
        assert reason in said
        assert "Taken over: 1. Here already: 0. Left out: 1." in said

    def test_an_unconfirmed_device_is_no_factor(self, device):
        """It was none over there either."""
        device.confirmed = False
        device.save()
        assert "Taken over: 0." in run("import_authenticators", "django-otp")


def reverse_text(text):
    """Stand for the decryption of a site's own adapter."""
    return text[::-1]


@pytest.fixture(scope="module")
def allauth_mfa(django_db_setup, django_db_blocker):
    """Install allauth's second factors for this module."""
    pytest.importorskip("allauth.mfa")
    names = ("allauth", "allauth.account", "allauth.mfa")
    middleware = [*settings.MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
    with django_db_blocker.unblock(), installed(*names, MIDDLEWARE=middleware):
        yield


@pytest.mark.usefixtures("allauth_mfa")
class TestDjangoAllauth:
    def activate(self, user):
        """Have allauth set up an app and recovery codes; return the app's secret."""
        from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
        from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

        secret = generate_totp_secret()
        TOTP.activate(user, secret)
        RecoveryCodes.activate(user)
        return secret

    def test_an_app_keeps_working(self, user):
        """TOTP comes over; other kinds stay where they are."""
        secret = self.activate(user)
        said = run("import_authenticators", "django-allauth")
        assert "Taken over: 1. Here already: 0. Left out: 0." in said
        totp.consume(user.pk, code_at(secret, NOON), NOON)

    def test_a_sites_own_encryption_is_undone(self, user):
        """By the function that the site names."""
        from allauth.mfa.adapter import DefaultMFAAdapter

        class Reversing(DefaultMFAAdapter):
            def encrypt(self, text):
                return reverse_text(text)

        adapter = "allauth.mfa.utils.get_adapter"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adapter, Reversing)
            secret = self.activate(user)
        run(
            "import_authenticators",
            "django-allauth",
            "--decrypt",
            "tests.edges.test_mfa_commands.reverse_text",
        )
        totp.consume(user.pk, code_at(secret, NOON), NOON)

    @pytest.mark.parametrize(
        "change", [{"MFA_TOTP_DIGITS": 8}, {"MFA_TOTP_PERIOD": 60}]
    )
    def test_what_can_not_come_is_named(self, user, change):
        """Codes of another shape would never fit here."""
        self.activate(user)
        with override_settings(**change):
            said = run("import_authenticators", "django-allauth")
        assert "not 6 digits every 30 seconds" in said
        assert not factors.has_factor(user.pk)
