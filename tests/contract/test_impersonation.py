"""django-hijack and django-loginas, as they are, on our engines."""

from __future__ import annotations

import pytest
from django.urls import include, path

from django_secure_sessions import lifecycle
from django_secure_sessions.models import Session, SessionEvent
from tests import pages
from tests.factories import UserFactory
from tests.visitor import Visitor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls(__name__),
    pytest.mark.usefixtures("engine"),
]

urlpatterns = [
    path("hijack/", include("hijack.urls")),
    path("loginas/", include("loginas.urls")),
    *pages.urlpatterns,
]


class Hijack:
    def begin(self, browser, user):
        browser.post("/hijack/acquire/", {"user_pk": user.pk})

    def finish(self, browser):
        browser.post("/hijack/release/")


class LoginAs:
    def begin(self, browser, user):
        browser.post(f"/loginas/login/user/{user.pk}/")

    def finish(self, browser):
        browser.post("/logout/")


@pytest.fixture(params=[Hijack, LoginAs])
def tool(request):
    return request.param()


@pytest.fixture
def admin(db):
    return UserFactory(is_superuser=True, is_staff=True)


@pytest.fixture
def browser(admin):
    """The browser of somebody who may act as others, signed in."""
    browser = Visitor()
    browser.enter(admin)
    return browser


def test_acts_as_the_user(browser, admin, user, tool):
    """The browser is the user's, in a session that names who really acts."""
    tool.begin(browser, user)
    row = Session.objects.get(user=user)

    assert browser.user == user.pk
    assert row.impersonator == str(admin.pk)
    assert SessionEvent.objects.get(session_id=row.pk).actor == str(admin.pk)


def test_user_keeps_all_sessions(browser, user, tool):
    """Nobody is evicted by it, and it takes nobody's place."""
    own = [Visitor() for _ in range(3)]
    for visitor in own:
        visitor.enter(user)
    tool.begin(browser, user)

    assert [visitor.user for visitor in own] == [user.pk] * 3
    assert browser.user == user.pk
    own[0].enter(user)
    assert browser.user == user.pk
    assert len(lifecycle.live_sessions(user)) == 4


def test_keys_change(browser, user, tool):
    """The actor's own key opens nothing while somebody else's page is shown."""
    thief = Visitor()
    thief.key = browser.key
    tool.begin(browser, user)

    assert browser.key != thief.key
    assert thief.user is None


def test_data_stays_apart(browser, user, tool):
    """What the actor had in the session is not shown to the user, nor back."""
    browser.get("/put/notes/private/")
    tool.begin(browser, user)

    assert "notes" not in browser.data


def test_user_can_end_it(browser, user, tool):
    """The user, or the site, ends it like any session."""
    tool.begin(browser, user)
    lifecycle.end_all(user)

    assert browser.user is None


def test_hijack_gives_back(browser, admin, user):
    """Afterwards the actor is signed in as before, in a session that counts."""
    Hijack().begin(browser, user)
    Hijack().finish(browser)

    assert browser.user == admin.pk
    assert lifecycle.live_sessions(user) == []
    assert Session.objects.get(user=admin, ended_at=None).impersonator == ""


def test_loginas_signs_out(browser, user):
    """A logout ends the borrowed session."""
    LoginAs().begin(browser, user)
    LoginAs().finish(browser)

    assert browser.user is None
    assert lifecycle.live_sessions(user) == []
