"""
What the cache holds of a session: three values, as bytes. Pure.

The *entry* is a copy of the row, with the time of its database read. The *mark*
says that the database must be asked: for good, once a session ended or has another
key, or for copies below a version. The *pulse* is the last activity.

An entry is sealed as the payload in the table is: under a key that only the cookie
leads to, and bound to the digest. The pulse carries a MAC under a key of the site,
since lists read it without a cookie. So whoever can write the cache can make nothing
up and move nothing elsewhere. A mark needs neither, since all it can do is send a
request to the database.
"""

from __future__ import annotations

import hmac
import json
import struct
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils import timezone as site_time

from django_secure_sessions import crypto
from django_secure_sessions.crypto import Credential
from django_secure_sessions.models import Session

from .rows import Row

MAC_LENGTH = 16
# Neither a number nor a pickle, whatever else a cache would take bytes for.
ENTRY, PULSE = b"E\x01", b"P\x01"
ENDED = b"ended"
FLOOR = b"below "

# What clocks of servers may differ by. An entry from further ahead isn't believed.
SKEW = timedelta(seconds=5)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TICK = timedelta(microseconds=1)
_MOMENT = struct.Struct(">q")
_PULSE_LENGTH = len(PULSE) + MAC_LENGTH + _MOMENT.size
# Read at, created, authenticated, active, expires; id, version, level; length of
# what follows as JSON. The payload is the rest.
_HEAD = struct.Struct(">qqqqq16sIHI")
_NEVER = -(2**63)


class Keys(NamedTuple):
    """The cache keys of one session. The braces keep them on one cluster node."""

    entry: str
    mark: str
    pulse: str


def keys_of(digest: UUID) -> Keys:
    stem = f"secure_sessions:{{{digest.hex}}}"
    return Keys(stem, stem + "m", stem + "p")


def encode(row: Row, payload: bytes, content_key: bytes, as_of: datetime) -> bytes:
    """
    Return the entry for a live row as the database had it at ``as_of``.

    ``payload`` is what the row's ``data`` holds, opened. What only the database may
    answer for is left out: the key before the last rotation, and how the session
    ended.
    """
    user_id = row.user_id
    if not isinstance(user_id, (int, str, type(None))):
        user_id = str(user_id)
    facts = json.dumps(
        (
            user_id,
            row.amr,
            row.ip_address,
            row.user_agent,
            row.impersonator,
            row.idle_seconds,
            row.absolute_seconds,
        ),
        separators=(",", ":"),
    ).encode()
    authenticated = row.authenticated_at
    head = _HEAD.pack(
        _ticks(as_of),
        _ticks(row.created_at),
        _NEVER if authenticated is None else _ticks(authenticated),
        _ticks(row.last_activity),
        _ticks(row.expires_at),
        row.id.bytes,
        row.version,
        row.aal,
        len(facts),
    )
    context = ENTRY + row.key_digest.bytes
    return ENTRY + crypto.seal(content_key, head + facts + payload, context)


class Opened(NamedTuple):
    """An entry of ours: the row without its sealed columns, and the payload."""

    row: Row
    payload: bytes


def decode(
    value: Any, credential: Credential, now: datetime, life: timedelta
) -> tuple[Opened | None, bool]:
    """
    Return what an entry holds, and whether the entry is one of ours.

    Nothing is in an entry that is older than ``life``, from the future, of another
    session, or not ours.
    """
    digest, content_key, _ = credential
    if not isinstance(value, bytes) or value[:2] != ENTRY:
        return None, False
    try:
        body = crypto.open_sealed(content_key, value[2:], ENTRY + digest.bytes)
    except crypto.SealBroken:
        return None, False
    (read, created, authenticated, active, expires, row_id, version, aal, length) = (
        _HEAD.unpack_from(body)
    )
    local = not settings.USE_TZ
    if not -SKEW <= now - _moment(read, local) < life:
        return None, True
    end = _HEAD.size + length
    user_id, amr, ip, user_agent, impersonator, idle, absolute = json.loads(
        str(body[_HEAD.size : end], "utf-8")
    )
    row = Row(
        UUID(bytes=row_id),
        None if user_id is None else _user_id_field().to_python(user_id),
        b"",
        version,
        _moment(created, local),
        None if authenticated == _NEVER else _moment(authenticated, local),
        _moment(active, local),
        _moment(expires, local),
        aal,
        amr,
        ip,
        user_agent,
        impersonator,
        None,  # not ended
        "",
        idle,
        absolute,
        digest,
    )
    return Opened(row, body[end:]), True


def floor(version: int) -> bytes:
    """Return the mark that overrules copies of a row below ``version``."""
    return FLOOR + str(version).encode()


def overrules(mark: Any, row: Row) -> bool:
    """Whether a mark says not to believe this copy. Unknown marks do."""
    if mark is None:
        return False
    number = mark[len(FLOOR) :] if isinstance(mark, bytes) else b""
    if number.isdigit() and mark == FLOOR + number:
        return row.version < int(number)
    return True


def encode_pulse(digest: UUID, moment: datetime) -> bytes:
    body = _MOMENT.pack(_ticks(moment))
    return PULSE + _mac(digest, body) + body


def decode_pulse(value: Any, digest: UUID) -> datetime | None:
    if not isinstance(value, bytes) or len(value) != _PULSE_LENGTH:
        return None
    body = value[-_MOMENT.size :]
    if not hmac.compare_digest(value, PULSE + _mac(digest, body) + body):
        return None
    return _moment(_MOMENT.unpack(body)[0], not settings.USE_TZ)


def _mac(digest: UUID, body: bytes) -> bytes:
    # Keyed BLAKE2, RFC 7693: one pass, in a fifth of the time of HMAC-SHA256.
    key = _mac_key(settings.SECRET_KEY)
    return blake2b(
        PULSE + digest.bytes + body, key=key, digest_size=MAC_LENGTH
    ).digest()


@lru_cache(maxsize=8)
def _mac_key(secret: str | bytes) -> bytes:
    return crypto.derive(secret, "cache")


@lru_cache(maxsize=1)
def _user_id_field() -> Any:
    field: Any = Session._meta.get_field("user")
    return field.target_field


def _ticks(moment: datetime) -> int:
    """Microseconds since 1970, in UTC whatever USE_TZ says."""
    if moment.tzinfo is None:
        moment = site_time.make_aware(moment)
    return (moment - _EPOCH) // _TICK


def _moment(ticks: int, local: bool) -> datetime:
    # A float holds microseconds exactly for the next two centuries.
    moment = datetime.fromtimestamp(ticks / 1_000_000, timezone.utc)
    return site_time.make_naive(moment) if local else moment
