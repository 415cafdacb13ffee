"""
Browsers that may skip the code for a while. Off unless a site asks for it.

The browser holds a random token, the table its digest. The token is bound to the
user and to the password; it opens nothing by itself, and never raises a session.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import models, transaction

from django_secure_sessions import events
from django_secure_sessions.conf import conf
from django_secure_sessions.models import TrustedDevice
from django_secure_sessions.state import ClientInfo, EventKind

from .factors import using

# The browser's half of the trust, and what a session that skipped the code shows.
COOKIE = "secure_sessions_device"
METHOD = "remembered_device"
# No site may trust a browser for longer.
LONGEST = timedelta(days=30)
TOKEN_LENGTH = 43  # characters of base64 for 256 bits


def age_limit() -> timedelta | None:
    """Return for how long a browser is trusted, ``None`` for not at all."""
    age = conf.mfa_trusted_device_age
    return None if age is None else min(age, LONGEST)


def devices_of(user_id: Any, now: datetime) -> models.QuerySet[TrustedDevice]:
    """Return the browsers a user trusts now, the newest first."""
    found = TrustedDevice._base_manager.using(using())
    return found.filter(user_id=user_id, expires_at__gt=now).order_by("-created_at")


def trust(
    user: Any, *, session_id: UUID | None, client: ClientInfo, now: datetime
) -> str | None:
    """
    Trust the browser of ``client``; return its token, ``None`` if switched off.

    ``session_id`` is the session the browser is in: the trust ends with that, if it
    is ended from another place.
    """
    age = age_limit()
    if age is None:
        return None
    token = secrets.token_urlsafe(32)
    device = TrustedDevice(
        id=uuid.uuid4(),
        user=user,
        token_digest=_digest(token),
        auth_digest=_auth_digest(user),
        session_id=session_id,
        user_agent=client.user_agent,
        ip_address=client.ip,
        created_at=now,
        expires_at=now + age,
    )
    with transaction.atomic(using=using()):
        device.save(using=using(), force_insert=True)
        _record(EventKind.DEVICE_TRUSTED, user, client, now)
    return token


def is_trusted(
    user: Any, token: str | None, now: datetime, session_id: UUID | None = None
) -> bool:
    """
    Whether this token makes a browser one that ``user`` trusts.

    ``session_id`` is the session that the browser gets into by it.
    """
    age = age_limit()
    if age is None or token is None or len(token) != TOKEN_LENGTH:
        return False
    found = devices_of(user.pk, now).filter(
        token_digest=_digest(token),
        auth_digest=_auth_digest(user),
        # A site that trusts for less from now on means the older ones too.
        created_at__gt=now - age,
    )
    values: dict[str, Any] = {"last_used_at": now}
    if session_id is not None:
        values["session_id"] = session_id
    return bool(found.order_by().update(**values))


def is_of(device: TrustedDevice, token: str | None) -> bool:
    """Whether it is the browser with this token."""
    return token is not None and device.token_digest == _digest(token)


def forget(user: Any, device_id: UUID, *, client: ClientInfo, now: datetime) -> bool:
    """Trust a browser no more; ``False`` when the user has no such device."""
    with transaction.atomic(using=using()):
        gone, _ = devices_of(user.pk, now).filter(pk=device_id).delete()
        if gone:
            _record(EventKind.DEVICE_FORGOTTEN, user, client, now)
    return bool(gone)


def _record(kind: EventKind, user: Any, client: ClientInfo, now: datetime) -> None:
    name = user.get_username()
    event = events.build(
        kind, now=now, user_id=user.pk, username=name, actor=name, client=client
    )
    events.record([event])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _auth_digest(user: Any) -> str:
    return _digest(user.get_session_auth_hash())
