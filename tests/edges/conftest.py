"""People, and the browsers they are signed in with."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import Client

from tests.factories import SessionFactory, UserFactory

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def sign_in():
    """Return what signs a user in with a browser of its own and gives that browser."""

    def open_browser(user, *, ip="203.0.113.7", user_agent=FIREFOX, **client):
        session = SessionFactory(user=user, ip=ip, user_agent=user_agent)
        browser = Client(REMOTE_ADDR=ip, headers={"user-agent": user_agent}, **client)
        browser.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
        browser.session_id = session.public_id
        return browser

    return open_browser


@pytest.fixture
def superuser(db):
    return UserFactory(username="root", is_staff=True, is_superuser=True)


@pytest.fixture
def support(db):
    """A member of staff who may see and revoke sessions."""
    return staff_with("view_session", "revoke_session")


@pytest.fixture
def onlooker(db):
    """A member of staff who may see sessions, no more."""
    return staff_with("view_session", "view_sessionevent")


def staff_with(*codenames):
    person = UserFactory(is_staff=True)
    person.user_permissions.set(
        Permission.objects.filter(
            content_type__app_label="django_secure_sessions", codename__in=codenames
        )
    )
    return person


@pytest.fixture
def is_signed_in():
    """Return what tells whether a browser is still signed in, as the site sees it."""
    return lambda browser: browser.get("/account/api/session/").status_code == 200
