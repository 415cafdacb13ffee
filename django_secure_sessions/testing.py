"""
For the tests of a site: sign in with a second factor, let time pass, see what ended.

Takes ``django.test.Client`` and ``AsyncClient``, in any test runner that sets up
Django's test environment; outside of one each raises ``RuntimeError``. All of it asks
the database: in a coroutine, call it by ``sync_to_async``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import caches
from django.db import transaction
from django.test import AsyncClient, Client
from django.test.utils import _TestState
from django.utils import timezone

from . import crypto
from .backends import ending, entries, rows
from .backends.owning import Proof
from .backends.rows import Row
from .conf import conf
from .mfa import pending, totp
from .overview import standing
from .state import EndReason

AnyClient = Client | AsyncClient


class AuthenticatorApp:
    """The authenticator app of a user. ``secret`` is its key, in base32."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self._shown = 0

    def code(self) -> str:
        """Return a code that is good now, another one each time: each counts once."""
        import pyotp

        now = int(timezone.now().timestamp()) // totp.STEP
        step = max(self._shown + 1, now - conf.mfa_window)
        if step > now + conf.mfa_window:
            raise AssertionError("All codes of this moment are spent: move the clock.")
        self._shown = step
        return pyotp.TOTP(self.secret).generate_otp(step)


def enrol_totp(user: Any, *, name: str = "Test app") -> AuthenticatorApp:
    """Give a user an authenticator app, confirmed and unused, and return it."""
    _refuse_at_work()
    import pyotp

    enrolment, now = totp.new_enrolment(), timezone.now()
    code = pyotp.TOTP(enrolment.secret).at(now)
    factor = totp.confirm(user, enrolment, code, name, now)
    factor.last_step = -1  # so that no code is spent, whatever the test's clock does
    factor.save(update_fields=["last_step"])
    return AuthenticatorApp(enrolment.secret)


def login_with_second_factor(
    client: AnyClient, user: Any, *, method: str = "otp", backend: str | None = None
) -> None:
    """
    Sign a user in as after a password and a code, whether or not there is a factor.

    ``force_login`` leaves whoever has one before the code. ``method``: see RFC 8176.
    """
    _refuse_at_work()
    client.force_login(user, backend)
    session: Any = client.session
    now = timezone.now()
    if pending.waits_for(session, now) == pending.LOGIN:
        half_done, _ = pending.find(session, now)
        with transaction.atomic(using=rows.alias()):
            pending.complete(session, half_done.with_factor(method), user)
    else:
        session.elevate(Proof(2, f"pwd {method}"))
    client.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)


def session_of(client: AnyClient) -> Row:
    """Return the row behind a client's cookie. Its ``id`` outlives the cookie."""
    cookie = client.cookies.get(settings.SESSION_COOKIE_NAME)
    credential = crypto.resolve(cookie.value if cookie else None)
    if credential is None:
        raise AssertionError("The client has no session cookie.")
    return _row("key_digest", credential.digest)


def expire(client: AnyClient, reason: EndReason = EndReason.IDLE) -> None:
    """
    Let a timeout of the client's session pass: ``IDLE`` or ``ABSOLUTE``.

    Raise ``ValueError`` where the session has no such timeout.
    """
    now = timezone.now()
    found = standing(session_of(client), now)
    column, deadline = {
        EndReason.IDLE: ("last_activity", found.idle_at),
        EndReason.ABSOLUTE: ("authenticated_at", found.absolute_at),
    }.get(reason, ("", None))
    if deadline is None:
        raise ValueError(f"This session has no timeout {reason.value!r}.")
    _set_back(client, column, deadline - now)


def age_proof(client: AnyClient, by: timedelta) -> None:
    """Let time pass since the client's user proved who they are: ``RECENT_AUTH``."""
    _set_back(client, "authenticated_at", by)


def assert_session_ended(of: AnyClient | UUID, reason: EndReason | None = None) -> None:
    """
    Fail unless a session has ended, or its next request will find that it has.

    ``of`` is a client or the ``id`` of its row; leave out ``reason`` for any.
    """
    row = _row("id", of) if isinstance(of, UUID) else session_of(of)
    found = standing(row, timezone.now())
    if found.is_live:
        raise AssertionError("The session is live.")
    if reason not in (None, found.reason):
        raise AssertionError(f"The session ended by {found.reason!r}.")


def _set_back(client: AnyClient, column: str, by: timedelta) -> None:
    _refuse_at_work()
    row = session_of(client)
    rows.update(rows.alias(), {column: getattr(row, column) - by}, id=row.id)
    if ending.keeps_copies():
        # What the cache knows would say otherwise.
        keys = entries.keys_of(row.key_digest)
        caches[settings.SESSION_CACHE_ALIAS].delete_many(keys)


def _row(column: str, value: UUID) -> Row:
    row = rows.fetch(rows.alias(), column, value)
    if row is None:
        raise AssertionError("There is no such session.")
    return ending.refreshed([row])[0]


def _refuse_at_work() -> None:
    """Keep what grants a login without a proof out of reach of a site that serves."""
    if not hasattr(_TestState, "saved_data"):
        raise RuntimeError("django_secure_sessions.testing works in tests alone.")
