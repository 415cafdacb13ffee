"""
Recovery codes: ten at a time, each good once, none of them stored.

A code is 20 base32 characters. The first four find its row, so one attempt costs
one hash; the other sixteen, 80 bits, are the secret.
"""

from __future__ import annotations

import re
import secrets
import uuid
from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import transaction

from django_secure_sessions.exceptions import CodeRejected, MalformedCode
from django_secure_sessions.models import Authenticator, RecoveryCode, UserSecurity

from .factors import factors_of, usable, using

COUNT = 10
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
LENGTH = 20
GROUP = 5
SELECTOR = 4
# SP 800-63B-4, 3.1.2.2: random secrets may have a small work factor.
ITERATIONS = 1_000
_SHAPE = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}")
# Digits that are not in the alphabet, for the letters they are read as.
_LOOKALIKES = str.maketrans("018", "OIB", " -")


def parse(code: object) -> str:
    """
    Return a code as it was made, however somebody grouped and spelt it.

    Raise ``MalformedCode`` for what can't be one; it costs no attempt.
    """
    if isinstance(code, str) and len(code) <= 64 and code.isascii():
        text = code.upper().translate(_LOOKALIKES)
        if _SHAPE.fullmatch(text):
            return text
    raise MalformedCode


def generate(user: Any, now: datetime) -> list[str]:
    """
    Replace a user's recovery codes and return the new ones, for showing once.

    The old ones are dead from the commit on.
    """
    codes = _new_codes()
    with transaction.atomic(using=using()):
        UserSecurity.lock(user.pk, now, using())
        factors_of(user.pk).filter(type=Authenticator.Type.RECOVERY).delete()
        factor = Authenticator(
            id=uuid.uuid4(),
            user=user,
            type=Authenticator.Type.RECOVERY,
            created_at=now,
            confirmed_at=now,
        )
        factor.save(using=using(), force_insert=True)
        RecoveryCode._base_manager.using(using()).bulk_create(
            RecoveryCode(
                authenticator=factor,
                selector=code[:SELECTOR],
                digest=_digest(code),
            )
            for code in codes
        )
    return [_spell(code) for code in codes]


def consume(user_id: Any, code: str, now: datetime) -> Authenticator:
    """
    Spend a recovery code and return the factor it belongs to.

    Raise ``CodeRejected`` for a wrong and for a spent one alike.
    """
    text = parse(code)
    found = (
        RecoveryCode._base_manager.using(using())
        .filter(
            authenticator__in=usable(user_id, Authenticator.Type.RECOVERY),
            selector=text[:SELECTOR],
        )
        .select_related("authenticator")
        .first()
    )
    # An unknown selector costs the same hash as a known one.
    digest = found.digest if found else _digest(text[::-1])
    if not PBKDF2PasswordHasher().verify(text, digest) or found is None:
        raise CodeRejected
    # Own columns only: across a join, MariaDB would select first and update then.
    spent = RecoveryCode._base_manager.using(using()).filter(pk=found.pk, used_at=None)
    if not spent.update(used_at=now):
        raise CodeRejected("spent")
    factors_of(user_id).filter(pk=found.authenticator_id).update(last_used_at=now)
    return found.authenticator


def remaining(user_id: Any) -> int:
    """Return how many recovery codes a user has left."""
    return (
        RecoveryCode._base_manager.using(using())
        .filter(
            authenticator__in=usable(user_id, Authenticator.Type.RECOVERY),
            used_at=None,
        )
        .count()
    )


def _new_codes() -> list[str]:
    found: dict[str, str] = {}
    while len(found) < COUNT:
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        found.setdefault(code[:SELECTOR], code)
    return list(found.values())


def _digest(code: str) -> str:
    hasher = PBKDF2PasswordHasher()
    return hasher.encode(code, secrets.token_hex(8), iterations=ITERATIONS)


def _spell(code: str) -> str:
    groups = (code[start : start + GROUP] for start in range(0, LENGTH, GROUP))
    return "-".join(groups)
