"""
Give the demo a past, through the doors a site uses.

Each session begins with a request that passes the real middleware and the real
``login()``, and ends with the verbs of ``lifecycle``. Only the clock isn't real:
as nobody can sign in yesterday, what a sign-in stamped is moved back afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate, login
from django.contrib.auth.models import Permission, User
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.utils import timezone

from django_secure_sessions.conf import conf
from django_secure_sessions.lifecycle import end, live_sessions
from django_secure_sessions.middleware import SecureSessionMiddleware
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.policy import recorded_expiry
from django_secure_sessions.state import EventKind

from .accounts import ACCOUNTS, DEMO_PASSWORD, Account
from .visits import FAILED_LOGINS, VISITS, FailedLogin, Visit

BACKEND = "django.contrib.auth.backends.ModelBackend"


@dataclass
class Seeded:
    """What a run of ``seed()`` added."""

    people: int = 0
    sessions: int = 0

    def __str__(self) -> str:
        if not (self.people or self.sessions):
            return "Nothing to add: the demo's people and sessions are there."
        return (
            f"Added {_count(self.people, 'person', 'people')} and "
            f"{_count(self.sessions, 'session', 'sessions')}."
        )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def seed() -> Seeded:
    """
    Add what is missing: people with a past, and live sessions for who has none.

    Run again it adds nothing, until the live sessions have expired.
    """
    seeded = Seeded()
    # Invented events are no news for the console, neither as lines nor as mail.
    quiet = override_settings(
        SECURE_SESSIONS={**settings.SECURE_SESSIONS, "NOTIFY": None}
    )
    quiet.enable()
    logging.disable(logging.INFO)
    try:
        for account in ACCOUNTS:
            user, is_new = _person(account)
            visits = [visit for visit in VISITS if visit.username == user.username]
            if is_new:
                seeded.people += 1
                for failure in FAILED_LOGINS:
                    if failure.username == user.username:
                        _fail(failure)
                seeded.sessions += _play(user, [v for v in visits if v.end])
            if not live_sessions(user):
                seeded.sessions += _play(user, [v for v in visits if not v.end])
    finally:
        logging.disable(logging.NOTSET)
        quiet.disable()
    return seeded


def _person(account: Account) -> tuple[User, bool]:
    with suppress(User.DoesNotExist):
        return User.objects.get(username=account.username), False
    user = User.objects.create_user(
        account.username,
        email=f"{account.username}@example.com",
        password=DEMO_PASSWORD,
        first_name=account.first_name,
        last_name=account.last_name,
        is_staff=account.is_staff,
        is_superuser=account.is_superuser,
    )
    user.user_permissions.set(
        Permission.objects.filter(
            content_type__app_label="django_secure_sessions",
            codename__in=account.permissions,
        )
    )
    return user, True


def _play(user: User, visits: list[Visit]) -> int:
    """Let each visit happen, the earliest first, and return how many there were."""
    for visit in sorted(visits, key=lambda visit: visit.began, reverse=True):
        now = timezone.now()
        session_id = _sign_in(user, visit.ip, visit.user_agent)
        if visit.end is not None:
            end(session_id, reason=visit.end, actor=visit.actor)
        _move_back(session_id, began=now - visit.began, seen=now - visit.last_active)
    return len(visits)


def _sign_in(user: User, ip: str, user_agent: str) -> UUID:
    def view(request: HttpRequest) -> HttpResponse:
        login(request, user, backend=BACKEND)
        return HttpResponse()

    request = _request(ip, user_agent, view)
    found: UUID = request.session.public_id  # type: ignore[attr-defined]
    return found


def _fail(failure: FailedLogin) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        authenticate(request, username=failure.username, password="wrong")  # noqa: S106
        return HttpResponse()

    before = timezone.now()
    _request(failure.ip, failure.user_agent, view)
    SessionEvent.objects.filter(at__gte=before).update(at=before - failure.age)


def _request(
    ip: str, user_agent: str, view: Callable[[HttpRequest], HttpResponse]
) -> HttpRequest:
    """Send a request from there through the session middleware to ``view``."""
    request = RequestFactory().post(
        "/login/", REMOTE_ADDR=ip, HTTP_USER_AGENT=user_agent
    )
    SecureSessionMiddleware(view)(request)
    return request


def _move_back(session_id: UUID, *, began: datetime, seen: datetime) -> None:
    cookie_age = timedelta(seconds=settings.SESSION_COOKIE_AGE)
    sessions = Session.objects.filter(pk=session_id)
    sessions.update(
        created_at=began,
        authenticated_at=began,
        last_activity=seen,
        expires_at=recorded_expiry(
            conf.rules, authenticated_at=began, now=seen, cookie=began + cookie_age
        ),
    )
    sessions.ended().update(ended_at=seen)
    events = SessionEvent.objects.filter(session_id=session_id)
    arrivals = (EventKind.LOGIN, EventKind.NEW_DEVICE)
    events.filter(kind__in=arrivals).update(at=began)
    events.exclude(kind__in=arrivals).update(at=seen)
