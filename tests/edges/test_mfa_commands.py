"""Commands for second factors: a new site key, and people from other packages."""

from __future__ import annotations

import base64
import json
from io import StringIO

import pyotp
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test import override_settings

from django_secure_sessions.mfa import totp
from django_secure_sessions.models import Authenticator
from tests.mfa import NOON, code_at, give_recovery_codes, give_totp

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


@pytest.fixture
def table(transactional_db):
    """Return a way to make a table as another package has it, with rows."""
    made = []

    def make(name, fields, rows):
        attributes = {"__module__": __name__, "id": models.AutoField(primary_key=True)}
        attributes |= fields
        attributes["Meta"] = type("Meta", (), {"app_label": name, "db_table": name})
        from django.apps.registry import Apps

        attributes["Meta"].apps = Apps()
        model = type("Foreign", (models.Model,), attributes)
        with connection.schema_editor() as editor:
            editor.create_model(model)
        made.append(model)
        for row in rows:
            model._base_manager.create(**row)

    yield make
    for model in made:
        with connection.schema_editor() as editor:
            editor.delete_model(model)


OTP_FIELDS = {
    "user_id": models.IntegerField(),
    "name": models.CharField(max_length=64),
    "key": models.CharField(max_length=80),
    "step": models.SmallIntegerField(default=30),
    "t0": models.BigIntegerField(default=0),
    "digits": models.SmallIntegerField(default=6),
    "last_t": models.BigIntegerField(default=-1),
    "confirmed": models.BooleanField(default=True),
}
ALLAUTH_FIELDS = {
    "user_id": models.IntegerField(),
    "type": models.CharField(max_length=20),
    "data": models.JSONField(),
}


def fields_of(shape):
    return {name: field.clone() for name, field in shape.items()}


@pytest.mark.django_db(transaction=True)
class TestDjangoOTP:
    def test_an_app_keeps_working(self, user, table):
        """The same codes are good here, and a spent one stays spent."""
        secret = pyotp.random_base32()
        key = base64.b32decode(secret).hex()
        spent = int(NOON.timestamp()) // 30
        row = {"user_id": user.pk, "name": "phone", "key": key, "last_t": spent}
        table("otp_totp_totpdevice", fields_of(OTP_FIELDS), [row])

        assert "Taken over: 1." in run("import_authenticators", "django-otp")

        assert Authenticator.objects.get().name == "phone"
        with pytest.raises(Exception, match="not valid"):
            totp.consume(user.pk, code_at(secret, NOON), NOON)
        totp.consume(user.pk, code_at(secret, NOON, 1), NOON)

    def test_nothing_comes_twice(self, user, table):
        """The command can be repeated."""
        key = base64.b32decode(pyotp.random_base32()).hex()
        row = {"user_id": user.pk, "name": "phone", "key": key}
        table("otp_totp_totpdevice", fields_of(OTP_FIELDS), [row])
        run("import_authenticators", "django-otp")
        assert "Here already: 1." in run("import_authenticators", "django-otp")
        assert Authenticator.objects.count() == 1

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"digits": 8}, "6 digits"),
            ({"step": 60}, "30 seconds"),
            ({"key": "zz"}, "hexadecimal"),
            ({"key": "00" * 10}, "80 bits"),
        ],
    )
    def test_what_can_not_come_is_named(self, user, table, change, reason):
        """One unfit device is left out and said; it stops nothing."""
        key = base64.b32decode(pyotp.random_base32()).hex()
        good = {"user_id": user.pk, "name": "good", "key": key}
        rows = [good | change, good]
        table("otp_totp_totpdevice", fields_of(OTP_FIELDS), rows)
        said = run("import_authenticators", "django-otp")
        assert reason in said
        assert "Taken over: 1. Here already: 0. Left out: 1." in said

    def test_an_unconfirmed_device_is_no_factor(self, user, table):
        """It was none over there either."""
        key = base64.b32decode(pyotp.random_base32()).hex()
        row = {"user_id": user.pk, "name": "", "key": key, "confirmed": False}
        table("otp_totp_totpdevice", fields_of(OTP_FIELDS), [row])
        assert "Taken over: 0." in run("import_authenticators", "django-otp")


def reverse_text(text):
    """Stand for the decryption of a site's own adapter."""
    return text[::-1]


@pytest.mark.django_db(transaction=True)
class TestDjangoAllauth:
    def test_an_app_keeps_working(self, user, table):
        """TOTP comes over; other kinds stay where they are."""
        secret = pyotp.random_base32()
        rows = [
            {"user_id": user.pk, "type": "totp", "data": {"secret": secret}},
            {"user_id": user.pk, "type": "recovery_codes", "data": {"seed": "x"}},
        ]
        table("mfa_authenticator", fields_of(ALLAUTH_FIELDS), rows)
        assert "Taken over: 1." in run("import_authenticators", "django-allauth")
        totp.consume(user.pk, code_at(secret, NOON), NOON)

    def test_a_sites_own_encryption_is_undone(self, user, table):
        """By the function that the site names."""
        secret = pyotp.random_base32()
        data = json.loads(json.dumps({"secret": secret[::-1]}))
        rows = [{"user_id": user.pk, "type": "totp", "data": data}]
        table("mfa_authenticator", fields_of(ALLAUTH_FIELDS), rows)
        run(
            "import_authenticators",
            "django-allauth",
            "--decrypt",
            "tests.edges.test_mfa_commands.reverse_text",
        )
        totp.consume(user.pk, code_at(secret, NOON), NOON)


def test_a_missing_table_is_said(transactional_db):
    """Without the other package's table there is nothing to take over."""
    with pytest.raises(CommandError, match="django-otp"):
        run("import_authenticators", "django-otp")
