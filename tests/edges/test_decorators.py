"""Who may enter a view: functions, classes and async views alike."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from django_secure_sessions.decorators import passive, role_required
from django_secure_sessions.state import PASSIVE
from tests.factories import UserFactory
from tests.pages import GATES
from tests.visitor import JSON, Visitor

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.pages")]

PRIVATE = ["/private/", "/aprivate/", "/class/private/", "/class/aprivate/"]
DESK = ["/desk/", "/adesk/", "/class/desk/", "/class/adesk/"]


@pytest.fixture(params=[False, True], ids=["wsgi", "asgi"])
def browser(request):
    return Visitor(asgi=request.param)


@pytest.mark.parametrize("path", PRIVATE)
class TestSessionRequired:
    def test_member(self, browser, user, path):
        """Whoever is signed in gets in."""
        browser.enter(user)

        assert browser.get(path).content == b"private"

    def test_stranger(self, browser, path):
        """A stranger is sent to the login page, and back afterwards."""
        response = browser.get(f"{path}?page=2")

        assert response.status_code == 302
        assert response["Location"] == f"/login/?next={path}%3Fpage%3D2"

    def test_program(self, browser, path):
        """A program gets 401 and a code, not a page."""
        response = browser.get(path, **JSON)

        assert response.status_code == 401
        assert response.json() == {
            "error": "authentication_required",
            "reason": "",
            "detail": "Authentication is required.",
        }
        assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("path", DESK)
class TestRoleRequired:
    @pytest.mark.parametrize(
        ("facts", "groups"),
        [
            ({"is_staff": True}, []),
            ({"is_superuser": True}, []),
            ({}, ["editor"]),
            ({}, ["author", "editor"]),
        ],
    )
    def test_one_role_suffices(self, browser, path, facts, groups):
        """Any one of the roles opens the view, and admin opens every view."""
        user = UserFactory(**facts)
        user.groups.set(Group.objects.create(name=name) for name in groups)
        browser.enter(user)

        assert browser.get(path).content == b"desk"

    def test_other_role(self, browser, user, path):
        """Signed in with another role: 403 and a page, and no way round by login."""
        user.groups.add(Group.objects.create(name="author"))
        browser.enter(user)
        response = browser.get(path)

        assert response.status_code == 403
        assert "permission" in response.content.decode()

    def test_other_role_json(self, browser, user, path):
        """The same for a program."""
        browser.enter(user)
        response = browser.get(path, **JSON)

        assert response.status_code == 403
        assert response.json()["error"] == "permission_denied"

    def test_stranger(self, browser, path):
        """Nobody's role is asked before somebody is there."""
        assert browser.get(path, **JSON).status_code == 401

    def test_role_is_never_remembered(self, browser, path):
        """A role that was taken away is gone with the next request."""
        user = UserFactory(is_staff=True)
        browser.enter(user)
        assert browser.get(path).status_code == 200
        type(user).objects.filter(pk=user.pk).update(is_staff=False)

        assert browser.get(path).status_code == 403


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize(
    "way", ["view", "aview", "dispatch", "adispatch", "twice", "atwice"]
)
def test_gate_around_a_class(browser, user, way, gate):
    """Each gate holds around a class-based view, and on its `dispatch`."""
    assert browser.get(f"/{way}/{gate}/", **JSON).status_code == 401

    browser.enter(user)

    assert browser.get(f"/{way}/{gate}/").content == b"in"


def test_mixin_asks_for_admin_by_default(user):
    """A class that names no roles is for admins only."""
    browser, admin = Visitor(), Visitor()
    browser.enter(user)
    admin.enter(UserFactory(is_superuser=True))

    assert browser.get("/class/admins/").status_code == 403
    assert admin.get("/class/admins/").status_code == 200


def test_no_role_is_a_mistake():
    """role_required() without a role fails where it is written, not at a request."""
    with pytest.raises(ValueError, match="at least one role"):
        role_required()


def test_passive_marks_the_view_itself():
    """The mark is seen by the middleware, and the view stays what it was."""

    def view(request):
        return None

    assert passive(view) is view
    assert getattr(view, PASSIVE)
