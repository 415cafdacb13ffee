"""
Codes from an authenticator app: RFC 6238 with SHA-1, 6 digits, 30 seconds.

pyotp does the arithmetic. What it leaves open is here: a code counts once, and only
if its step is newer than the newest accepted one.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from hmac import compare_digest
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction

from django_secure_sessions.conf import conf
from django_secure_sessions.exceptions import CodeRejected, MalformedCode
from django_secure_sessions.models import Authenticator

from .factors import clean_name, usable, using
from .sealing import SecretUnreadable, open_secret, seal_secret

STEP = 30  # seconds
SIX_DIGITS = re.compile(r"[0-9]{6}")


class Enrolment(NamedTuple):
    """A secret on its way to a user's app. Not a factor until a code confirms it."""

    id: str
    secret: str


def new_enrolment() -> Enrolment:
    """Return a fresh secret of 160 bits (RFC 4226, R6), in base32."""
    import pyotp

    return Enrolment(str(uuid.uuid4()), pyotp.random_base32())


def provisioning_uri(secret: str, account: str, issuer: str) -> str:
    """Return the ``otpauth://`` address that a QR code carries into the app."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def parse(code: object) -> str:
    """
    Return the six digits that somebody typed.

    Spaces between them are how apps display them. Raise ``MalformedCode`` for
    anything else, of whatever type: it is no guess, so it costs no attempt.
    """
    if isinstance(code, str) and len(code) <= 32:
        digits = code.replace(" ", "")
        if SIX_DIGITS.fullmatch(digits):
            return digits
    raise MalformedCode


def confirm(
    user: Any, enrolment: Enrolment, code: str, name: str, now: datetime
) -> Authenticator:
    """
    Make an enrolment a factor of ``user``, given the code its secret now shows.

    The code is spent by it. Raise ``CodeRejected`` for another code, or when the
    enrolment was confirmed already.
    """
    step = _matching_step(enrolment.secret, parse(code), now)
    if step is None:
        raise CodeRejected
    authenticator = Authenticator(
        id=uuid.UUID(enrolment.id),
        user=user,
        type=Authenticator.Type.TOTP,
        name=clean_name(name),
        last_step=step,
        created_at=now,
        confirmed_at=now,
    )
    authenticator.secret = seal_secret(authenticator, enrolment.secret.encode())
    try:
        with transaction.atomic(using=using()):
            authenticator.save(using=using(), force_insert=True)
    except IntegrityError:
        raise CodeRejected("spent") from None
    return authenticator


def consume(user_id: Any, code: str, now: datetime) -> Authenticator:
    """
    Spend a code and return the factor it belongs to.

    Of any number of parallel attempts with one code, one gets here: the step must
    still be newer than the last one at the moment of the UPDATE. Raise
    ``CodeRejected`` for a wrong, spent, early or late code alike.
    """
    digits, why = parse(code), "wrong"
    for authenticator in usable(user_id, Authenticator.Type.TOTP):
        try:
            secret = open_secret(authenticator).decode()
        except SecretUnreadable:
            continue
        step = _matching_step(secret, digits, now)
        if step is not None:
            if _spend(authenticator, step, now):
                return authenticator
            why = "spent"
    raise CodeRejected(why)


def _spend(authenticator: Authenticator, step: int, now: datetime) -> bool:
    return bool(
        usable(authenticator.user_id, Authenticator.Type.TOTP)
        .filter(pk=authenticator.pk, last_step__lt=step)
        .update(last_step=step, last_used_at=now)
    )


def _matching_step(secret: str, digits: str, now: datetime) -> int | None:
    """Return the step whose code this is, within the window; look at every one."""
    import pyotp

    current = int(now.timestamp()) // STEP
    totp = pyotp.TOTP(secret)
    found = None
    for step in range(current - conf.mfa_window, current + conf.mfa_window + 1):
        if compare_digest(totp.generate_otp(step), digits):
            found = step
    return found
