"""Django REST framework, as it is: its logins, its authentication, our permissions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY, authenticate, login
from django.test import Client
from django.urls import path
from django.utils import timezone

from django_secure_sessions.mfa import factors
from django_secure_sessions.models import Session
from django_secure_sessions.testing import login_with_second_factor
from tests import mfa_pages
from tests.factories import PASSWORD, UserFactory
from tests.mfa import code_at, give_totp

pytest.importorskip("rest_framework")

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls(__name__),
    pytest.mark.usefixtures("framework"),
]

VERIFY = "/account/mfa/verify/"
JSON = {"headers": {"accept": "application/json"}}

# The views are added below, once the framework may be imported.
urlpatterns = [*mfa_pages.urlpatterns]


@pytest.fixture(scope="module")
def framework():
    """Make an API: a login, and pages for the signed in, the proven, the recent."""
    from rest_framework.authentication import BaseAuthentication, SessionAuthentication
    from rest_framework.permissions import IsAuthenticated
    from rest_framework.response import Response
    from rest_framework.views import APIView

    from django_secure_sessions.contrib.rest_framework import (
        RecentAuthRequired,
        SecondFactorRequired,
    )

    class FiveMinutes(RecentAuthRequired):
        minutes = 5

    class Token(BaseAuthentication):
        """Stand for any credential that is no session."""

        def authenticate(self, request):
            name = request.META.get("HTTP_X_TOKEN")
            model = type(UserFactory.build())
            user = model.objects.filter(username=name).first() if name else None
            return (user, name) if user else None

    class Login(APIView):
        """Log in from within the framework, as API projects do."""

        authentication_classes = ()

        def post(self, request):
            user = authenticate(request, **request.data)
            if user is None:
                return Response({"error": "wrong"}, status=400)
            login(request, user)
            return Response({"user": request.user.pk})

    class Who(APIView):
        authentication_classes = (Token, SessionAuthentication)

        def get(self, request):
            return Response({"user": request.user.pk})

    views = {
        "login": Login,
        "who": type("Open", (Who,), {"permission_classes": ()}),
        "private": type("Private", (Who,), {"permission_classes": (IsAuthenticated,)}),
        "vault": type("Vault", (Who,), {"permission_classes": (SecondFactorRequired,)}),
        "fresh": type("Fresh", (Who,), {"permission_classes": (FiveMinutes,)}),
    }
    urlpatterns[:0] = [
        path(f"drf/{name}/", view.as_view()) for name, view in views.items()
    ]


@pytest.fixture
def member(db):
    """Return a user with an authenticator app, as ``member.secret``."""
    person = UserFactory()
    person.secret = give_totp(person)
    return person


def sign_in(browser, user):
    return browser.post(
        "/drf/login/",
        {"username": user.username, "password": PASSWORD},
        content_type="application/json",
    )


@pytest.fixture
def whole(client, member):
    """Return a browser of the member that has shown password and code."""
    login_with_second_factor(client, member)
    return client


def test_the_api_login_leaves_half_a_login(client, member):
    """401, where to go on, and nobody behind the session."""
    response = sign_in(client, member)
    assert response.status_code == 401
    assert response.json()["error"] == "mfa_required"
    assert response.json()["url"] == VERIFY
    assert SESSION_KEY not in client.session
    assert not Session.objects.filter(user=member).exists()


def test_session_authentication_finds_nobody_before_the_code(client, member):
    """Neither the open page nor the closed ones see the user; with the code all do."""
    sign_in(client, member)
    assert client.get("/drf/who/").json() == {"user": None}
    for page in ("private", "vault", "fresh"):
        assert client.get(f"/drf/{page}/").status_code in (401, 403)

    shown = client.post(VERIFY, {"code": code_at(member.secret, timezone.now())})
    assert shown.status_code == 302
    for page in ("who", "private", "vault", "fresh"):
        assert client.get(f"/drf/{page}/").json() == {"user": member.pk}


def test_the_api_login_waits_for_room(client, user, settings):
    """409 with what to choose from, and nobody behind the session until then."""
    settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1, "LIMIT_STRATEGY": "ask"}
    sign_in(Client(), user)
    response = sign_in(client, user)
    assert response.status_code == 409
    assert client.get("/drf/who/").json() == {"user": None}
    assert client.get("/drf/private/").status_code in (401, 403)

    (other,) = response.json()["choose"]
    body = {"end": [other["id"]]}
    client.post(response.json()["url"], body, content_type="application/json")
    assert client.get("/drf/private/").json() == {"user": user.pk}


def test_who_has_no_factor_signs_in(client, user):
    """The framework's login is what it was."""
    assert sign_in(client, user).json() == {"user": user.pk}
    assert client.get("/drf/private/").json() == {"user": user.pk}


def test_a_permission_takes_the_second_factor(whole, member):
    """Level 1 is told what is lacking and where to show it."""
    Session.objects.update(aal=1, amr="pwd")
    response = whole.get("/drf/vault/")
    assert response.status_code == 403
    assert response.json()["error"] == "mfa_required"
    assert response.json()["url"] == "/account/mfa/confirm/"


def test_a_permission_leads_to_the_set_up(client, user):
    """Who has no factor is told to set one up."""
    sign_in(client, user)
    response = client.get("/drf/vault/")
    assert response.status_code == 403
    assert response.json()["error"] == "mfa_enrolment_required"


def test_a_permission_takes_a_recent_proof(whole, time_machine):
    """Five minutes later the API asks again."""
    time_machine.move_to(timezone.now() + timedelta(minutes=5))
    response = whole.get("/drf/fresh/")
    assert response.status_code == 403
    assert response.json()["error"] == "reauthentication_required"


@pytest.mark.parametrize("page", ["vault", "fresh"])
def test_a_token_has_shown_no_factor(member, page):
    """It signs in where that is enough, and nowhere else."""
    program = Client(headers={"x-token": member.username})
    assert program.get("/drf/private/").json() == {"user": member.pk}
    assert program.get(f"/drf/{page}/").status_code == 403


@pytest.mark.parametrize("page", ["vault", "fresh"])
def test_a_token_borrows_no_level(whole, page):
    """Nor does the session of somebody else, sent along, lend it one."""
    other = UserFactory()
    response = whole.get(f"/drf/{page}/", headers={"x-token": other.username})
    assert response.status_code == 403


@pytest.mark.parametrize("door", ["/drf/login/", "/api/login/", "/login/"])
def test_a_locked_factor_is_locked_at_each_door(client, member, door):
    """Fifty failures: no door lets the user in by a password, nor by the right code."""
    factors.disable_all(member.pk, timezone.now())
    kind = {} if door == "/login/" else {"content_type": "application/json"}
    client.post(door, {"username": member.username, "password": PASSWORD}, **kind)
    assert client.get("/who/").json() == {"user": None}
    code = code_at(member.secret, timezone.now())
    assert client.post(VERIFY, {"code": code}, **JSON).status_code == 401
    assert client.get("/who/").json() == {"user": None}
