"""Factor secrets in the table: of no use to its reader, nor to its writer."""

from __future__ import annotations

import logging

import pytest
from django.db import connection
from django.test import override_settings

from django_secure_sessions.exceptions import CodeRejected
from django_secure_sessions.mfa import totp
from django_secure_sessions.mfa.sealing import (
    SecretUnreadable,
    is_current,
    open_secret,
    seal_secret,
)
from django_secure_sessions.models import Authenticator
from tests.factories import UserFactory
from tests.mfa import NOON, code_at, give_recovery_codes, give_totp


def test_a_secret_opens_for_its_own_row(user):
    """What was sealed comes back."""
    secret = give_totp(user)
    assert open_secret(Authenticator.objects.get()).decode() == secret


def test_no_column_holds_a_secret_or_a_recovery_code(user):
    """A dump of the tables gives nothing to log in with."""
    secret, codes = give_totp(user), give_recovery_codes(user)
    dump = b""
    with connection.cursor() as cursor:
        for table in ("authenticator", "recoverycode"):
            cursor.execute(
                f"SELECT * FROM django_secure_sessions_{table}"  # noqa: S608
            )
            for row in cursor.fetchall():
                for value in row:
                    if isinstance(value, (bytes, memoryview)):
                        dump += bytes(value)
                    else:
                        dump += str(value).encode()
    for text in [secret, *codes, *(code.replace("-", "") for code in codes)]:
        assert text.encode() not in dump


def test_a_secret_moved_to_another_row_does_not_open(user):
    """Whoever can write the table can't give a victim their own secret."""
    give_totp(user)
    own, stranger = Authenticator.objects.get(), UserFactory()
    secret = give_totp(stranger)
    theirs = Authenticator.objects.get(user=stranger)
    Authenticator.objects.filter(pk=own.pk).update(secret=theirs.secret)

    with pytest.raises(SecretUnreadable):
        open_secret(Authenticator.objects.get(pk=own.pk))
    with pytest.raises(CodeRejected):
        totp.consume(user.pk, code_at(secret, NOON), NOON)


def test_a_secret_is_bound_to_its_kind(user):
    """A row whose type was changed does not open."""
    give_totp(user)
    Authenticator.objects.update(type="webauthn")
    with pytest.raises(SecretUnreadable):
        open_secret(Authenticator.objects.get())


def test_another_key_fails_closed_and_says_so(user, caplog):
    """Under a lost SECRET_KEY the factor is refused, not waived."""
    secret = give_totp(user)
    with (
        override_settings(SECRET_KEY="another"),
        caplog.at_level(logging.ERROR),
        pytest.raises(CodeRejected),
    ):
        totp.consume(user.pk, code_at(secret, NOON), NOON)
    assert "does not open" in caplog.text
    assert secret not in caplog.text


def test_a_fallback_key_still_opens(user):
    """SECRET_KEY can be rotated; what it sealed is then due for sealing anew."""
    secret = give_totp(user)
    with override_settings(
        SECRET_KEY="new", SECRET_KEY_FALLBACKS=["a-key-for-tests-that-protects-nothing"]
    ):
        factor = Authenticator.objects.get()
        assert open_secret(factor).decode() == secret
        assert not is_current(factor)
        factor.secret = seal_secret(factor, secret.encode())
        assert is_current(factor)
