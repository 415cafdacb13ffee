"""
Take over authenticator apps that people set up with another package.

Read from the tables themselves, so the other package may be gone already. Nothing
is imported twice, and nothing over there is changed. Recovery codes don't come
along: people get new ones.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections, transaction

from django_secure_sessions.models import Authenticator

from .factors import clean_name, using
from .sealing import seal_secret

NAMESPACE = uuid.UUID("8c1f6d0a-3f0e-4f4c-9a6e-5e1f2f6b7a10")
# Bits. SP 800-63B-4, 3.1.4.1, and what pyotp accepts.
SHORTEST_SECRET = 112
OTHER_SHAPE = "not 6 digits every 30 seconds"


class Found(NamedTuple):
    """An app as another package stored it, or why it can't be taken over."""

    key: str
    user_id: Any
    name: str
    secret: str
    last_step: int
    problem: str = ""


class Imported(NamedTuple):
    """How many came over, were here already, and why others could not come."""

    done: int
    known: int
    problems: list[str]


def from_django_otp() -> Iterator[Found]:
    """Read the confirmed TOTP devices of django-otp."""
    columns = ("id", "user_id", "name", "key", "step", "t0", "digits", "last_t")
    for row in _rows("otp_totp_totpdevice", (*columns, "confirmed")):
        if not row["confirmed"]:
            continue
        problem, secret = "", ""
        if (row["step"], row["t0"], row["digits"]) != (30, 0, 6):
            problem = OTHER_SHAPE
        try:
            secret = base64.b32encode(bytes.fromhex(row["key"])).decode().rstrip("=")
        except ValueError:
            problem = "the key is not hexadecimal"
        yield Found(
            f"django-otp:{row['id']}",
            row["user_id"],
            row["name"],
            secret,
            int(row["last_t"]),
            problem,
        )


def from_django_allauth(decrypt: Callable[[str], str]) -> Iterator[Found]:
    """
    Read the TOTP authenticators of django-allauth.

    ``decrypt`` is its adapter's method of that name, if the site has its own.
    """
    # One shape of code for the whole site over there, with these defaults.
    digits = getattr(settings, "MFA_TOTP_DIGITS", 6)
    period = getattr(settings, "MFA_TOTP_PERIOD", 30)
    problem = "" if (digits, period) == (6, 30) else OTHER_SHAPE
    for row in _rows("mfa_authenticator", ("id", "user_id", "type", "data")):
        if row["type"] != "totp":
            continue
        data = row["data"]
        data = json.loads(data) if isinstance(data, (str, bytes)) else data
        secret = decrypt(data["secret"]).replace(" ", "").rstrip("=").upper()
        key = f"django-allauth:{row['id']}"
        yield Found(key, row["user_id"], "", secret, -1, problem)


def take_over(found: Iterator[Found], now: datetime) -> Imported:
    """Make each of ``found`` a factor of its user. ``now`` is when they came."""
    done, known, problems = 0, 0, []
    rows = Authenticator._base_manager.using(using())
    for item in found:
        problem = item.problem or _weakness(item.secret)
        if problem:
            problems.append(f"{item.key}: {problem}")
            continue
        factor_id = uuid.uuid5(NAMESPACE, item.key)
        if rows.filter(pk=factor_id).exists():
            known += 1
            continue
        factor = Authenticator(
            id=factor_id,
            user_id=item.user_id,
            type=Authenticator.Type.TOTP,
            name=clean_name(item.name),
            last_step=item.last_step,
            created_at=now,
            confirmed_at=now,
        )
        factor.secret = seal_secret(factor, item.secret.encode())
        with transaction.atomic(using=using()):
            factor.save(using=using(), force_insert=True)
        done += 1
    return Imported(done, known, problems)


def _weakness(secret: str) -> str:
    try:
        plain = base64.b32decode(secret + "=" * (-len(secret) % 8))
    except binascii.Error:
        return "the secret is not base32"
    bits = len(plain) * 8
    if bits < SHORTEST_SECRET:
        return f"the secret has {bits} bits; it takes {SHORTEST_SECRET}"
    return ""


def _rows(table: str, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    connection = connections[using()]
    quote = connection.ops.quote_name
    names = ", ".join(quote(column) for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {names} FROM {quote(table)}")  # noqa: S608
        found = cursor.fetchall()
    to_python = get_user_model()._meta.pk.to_python
    for values in found:
        row = dict(zip(columns, values, strict=True))
        row["user_id"] = to_python(row["user_id"])
        yield row
