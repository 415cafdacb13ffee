"""The life of sessions whose user has a UUID and no username."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.urls import reverse

from django_secure_sessions import lifecycle
from django_secure_sessions.models import Session, SessionEvent
from tests.custom_user.models import Member
from tests.edges.test_admin import confirmed
from tests.visitor import JSON, Visitor

PASSWORD = "correct horse battery staple"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True, params=["db", "cached_db"])
def _engine(request, settings):
    settings.SESSION_ENGINE = f"django_secure_sessions.backends.{request.param}"


@pytest.fixture
def member():
    return Member.objects.create_user("ada", PASSWORD)


@pytest.fixture(params=["wsgi", "asgi"])
def browsers(request):
    return [Visitor(asgi=request.param == "asgi") for _ in range(4)]


def test_limit(browsers, member):
    """Four logins leave three sessions, of this user; the first is told why."""
    for browser in browsers:
        browser.enter(member)

    assert [browser.user for browser in browsers] == [None, *[str(member.pk)] * 3]
    assert browsers[0].get("/private/", **JSON).json()["reason"] == "evicted"
    assert set(Session.objects.values_list("user", flat=True)) == {member.pk}


def test_login_page(browsers, member):
    """A wrong password is on record under the handle; the right one signs in."""
    browser = browsers[0]
    browser.post("/login/", {"username": "ada", "password": "wrong"})
    browser.post("/login/", {"username": "ada", "password": PASSWORD})

    assert browser.user == str(member.pk)
    assert SessionEvent.objects.get(kind="login_failed").username == "ada"
    assert SessionEvent.objects.get(kind="login").user == member


def test_password_change(browsers, member):
    """It ends the other sessions, and not this one."""
    here, there, *_ = browsers
    for browser in (here, there):
        browser.enter(member)
    here.get("/change-password/")

    assert (here.user, there.user) == (str(member.pk), None)


def test_self_service(browsers, member):
    """People see their sessions, and end one."""
    here, there, *_ = browsers
    for browser in (here, there):
        browser.enter(member)
    (other,) = [
        session["id"]
        for session in here.get(reverse("secure_sessions:api_sessions")).json()[
            "sessions"
        ]
        if not session["current"]
    ]
    assert here.get(reverse("secure_sessions:session_list")).status_code == 200
    here.post(reverse("secure_sessions:end_session", args=[other]))

    assert (here.user, there.user) == (str(member.pk), None)


def test_admin(browsers, member):
    """Support finds the session by handle, and revokes it."""
    support = Member.objects.create_user(
        "grace", PASSWORD, is_staff=True, is_superuser=True
    )
    desk, browser, *_ = browsers
    desk.enter(support)
    browser.enter(member)
    page = reverse("admin:django_secure_sessions_session_changelist")
    found = desk.get(f"{page}?q=ada").content.decode()
    session = Session.objects.get(user=member)

    assert str(session.pk) in found
    assert str(Session.objects.get(user=support).pk) not in found
    desk.post(page, confirmed(session.pk))
    assert (desk.user, browser.user) == (str(support.pk), None)


def test_commands(browsers, member, capsys):
    """The commands take the handle for a user."""
    browser = browsers[0]
    browser.enter(member)
    call_command("list_sessions", "--user", "ada")
    assert "ada" in capsys.readouterr().out
    call_command("revoke_sessions", "--user", "ada")

    assert browser.user is None


def test_ends(browsers, member):
    """Deactivation ends sessions; deletion leaves the history, under the handle."""
    browser, other, *_ = browsers
    browser.enter(member)
    member.is_active = False
    member.save()
    assert browser.user is None
    member.is_active = True
    member.save()
    other.enter(member)
    assert lifecycle.end_all(member) == 1
    member.delete()

    assert not Session.objects.exists()
    assert set(SessionEvent.objects.values_list("username", flat=True)) == {"ada"}
