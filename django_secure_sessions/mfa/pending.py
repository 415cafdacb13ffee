"""
A login half done: the password held, and a step has yet to be taken.

That is to show the second factor, or to find room among the user's other sessions.
Nobody is authenticated meanwhile. The session keeps what is needed to finish, and
under names of its own, so that nothing that looks for a user finds one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from django_secure_sessions import events
from django_secure_sessions.backends.base import TrackedSession
from django_secure_sessions.backends.owning import Proof
from django_secure_sessions.conf import conf
from django_secure_sessions.exceptions import NothingPending
from django_secure_sessions.state import ClientInfo, EventKind

from . import factors, throttle

PENDING_KEY = "_secure_sessions_pending"
AUTH_KEYS = (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY)
# What a login may wait for: its second factor, or room.
LOGIN = "login"
ROOM = "room"
# Seconds that the clocks of a site's hosts may differ.
CLOCK_SKEW = 30


@dataclass(frozen=True)
class Pending:
    """What a half-done login remembers. Never the password."""

    user: str
    backend: str
    # Django's hash over the password: another password ends the half-login.
    auth_hash: str
    # Seconds since the epoch.
    started_at: float
    # What was shown so far, as in RFC 8176.
    amr: str
    # Whether Django's user_logged_in was already sent.
    announced: bool
    tries: int = 0
    purpose: str = LOGIN
    aal: int = 1

    def with_factor(self, method: str) -> Pending:
        """Return it with a second factor shown by this method (RFC 8176)."""
        amr = " ".join(dict.fromkeys([*self.amr.split(), method]))
        return replace(self, aal=2, amr=amr)


def suspend(session: TrackedSession, now: datetime) -> None:
    """
    Turn a login that was just written to the session into a half-done one.

    The user leaves the data at once and the row at the next save, under a new key.
    """
    store(session, take_out(session, now))


def hold_back(session: TrackedSession, user_id: Any) -> None:
    """
    Suspend a login that came past Django's ``login()``, if its user has a factor.

    channels has a ``login()`` of its own, and a project may write a user into a
    session by hand. Called by the store before it binds such a session.
    """
    if not factors.has_factor(user_id):
        return
    now = timezone.now()
    suspend(session, now)
    user = get_user_model()._default_manager.filter(pk=user_id).first()
    if user is not None:
        record(user, session.client, now)


def resume(session: TrackedSession) -> None:
    """Undo ``suspend`` in the request of the login: no second factor is due."""
    pending = _read(session.pop(PENDING_KEY, None))
    if pending is not None:
        session.update(_auth_data(pending))
    session.suspended = False


def begin(session: TrackedSession, user: Any, backend: str, now: datetime) -> None:
    """Start a half-done login for a view that has not called ``login()``."""
    session.login_user = user
    for key in AUTH_KEYS:
        session.pop(key, None)
    store(
        session,
        Pending(
            user=user._meta.pk.value_to_string(user),
            backend=backend,
            auth_hash=_auth_hash(user),
            started_at=now.timestamp(),
            amr=session.proof.amr,
            announced=False,
        ),
    )


def record(user: Any, client: ClientInfo, now: datetime) -> None:
    """Note that somebody knew a password and has yet to show a second factor."""
    event = events.build(
        EventKind.MFA_REQUIRED,
        now=now,
        user_id=user.pk,
        username=user.get_username(),
        client=client,
    )
    events.record([event])


def waits_for(session: Any, now: datetime) -> str:
    """Return ``LOGIN``, ``ROOM``, or ``""`` for no login that waits. No query."""
    kept = session.get(PENDING_KEY)
    pending = None if kept is None else _read(kept)
    return pending.purpose if pending and _is_fresh(pending, now) else ""


def find(
    session: TrackedSession, now: datetime, purpose: str = LOGIN
) -> tuple[Pending, Any]:
    """
    Return the half-done login of a session that waits for ``purpose``, and its user.

    Raise ``NothingPending`` when there is none, or when it is too old, was tried
    too often, or its user has another password now or may not sign in any more; what
    was kept is then dropped. Raise ``AttemptsExhausted`` for one tried too often
    while its user has to wait.
    """
    kept = session.get(PENDING_KEY)
    if kept is None:
        raise NothingPending
    pending = _read(kept)
    if pending is not None and pending.purpose != purpose:
        raise NothingPending  # but kept, for the step that it waits for
    user = None if pending is None else _user_of(pending)
    if pending is None or user is None or not _is_fresh(pending, now):
        drop(session)
        raise NothingPending
    if pending.tries >= conf.mfa_pending_tries:
        drop(session)
        throttle.refuse_if_blocked(user.pk, now)
        raise NothingPending
    return pending, user


def count_try(session: TrackedSession, pending: Pending) -> None:
    """Remember a failed attempt with this half-done login."""
    session[PENDING_KEY] = asdict(replace(pending, tries=pending.tries + 1))


def complete(
    session: TrackedSession,
    pending: Pending,
    user: Any,
    ending: Collection[UUID] | None = None,
) -> None:
    """
    Make the half-done login a whole one: bind the session to its user, at once.

    Where a proof is spent for it, that is the last step of the same transaction:
    both happen or neither does. ``ending`` are what the user chose to end, where
    the limit asks.
    """
    session.bind_now(
        _auth_data(pending),
        user=user,
        proof=Proof(pending.aal, pending.amr),
        without=PENDING_KEY,
        ending=ending,
    )


def drop(session: TrackedSession) -> None:
    """Forget the half-done login."""
    session.pop(PENDING_KEY, None)


def take_out(session: TrackedSession, now: datetime) -> Pending:
    """Take a login that was just written to the session out of its data."""
    found = {key: session.pop(key, "") for key in AUTH_KEYS}
    return Pending(
        user=str(found[SESSION_KEY]),
        backend=str(found[BACKEND_SESSION_KEY]),
        auth_hash=str(found[HASH_SESSION_KEY]),
        started_at=now.timestamp(),
        amr=session.proof.amr,
        aal=session.proof.aal,
        announced=True,
    )


def store(session: TrackedSession, pending: Pending) -> None:
    """Keep a half-done login: the next save takes the session from its user, if any."""
    session.suspended = True
    session[PENDING_KEY] = asdict(pending)


def _read(kept: object) -> Pending | None:
    if not isinstance(kept, Mapping):
        return None
    try:
        pending = Pending(**kept)
    except TypeError:
        return None
    return pending if pending.purpose in (LOGIN, ROOM) else None


def _auth_data(pending: Pending) -> dict[str, str]:
    found = (pending.user, pending.backend, pending.auth_hash)
    return dict(zip(AUTH_KEYS, found, strict=True))


def _is_fresh(pending: Pending, now: datetime) -> bool:
    age = now.timestamp() - pending.started_at
    return -CLOCK_SKEW <= age < conf.mfa_pending_age.total_seconds()


def _user_of(pending: Pending) -> Any:
    if pending.backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    try:
        pk = get_user_model()._meta.pk.to_python(pending.user)
    except ValidationError:
        return None
    # The backend decides who may sign in, as it does at every request.
    user = load_backend(pending.backend).get_user(pk)
    if user is None or not user.is_active:
        return None
    if not constant_time_compare(pending.auth_hash, _auth_hash(user)):
        return None
    return user


def _auth_hash(user: Any) -> str:
    has_hash = hasattr(user, "get_session_auth_hash")
    return str(user.get_session_auth_hash()) if has_hash else ""
