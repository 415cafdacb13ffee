"""django-allauth, as it is: its logins by form, by JSON and by a social account."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.urls import include, path
from django.utils import timezone

from django_secure_sessions.models import Authenticator, Session
from tests import mfa_pages
from tests.factories import PASSWORD, UserFactory
from tests.hearing import heard
from tests.mfa import code_at, give_totp
from tests.packages import installed

pytest.importorskip("allauth")

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls(__name__),
    pytest.mark.usefixtures("allauth"),
]

VERIFY = "/account/mfa/verify/"
CHOOSE = "/account/sessions/choose/"
APPS = (
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.dummy",
    "allauth.headless",
)
OURS = "django_secure_sessions.contrib.allauth.AccountAdapter"
THEIRS = "allauth.account.adapter.DefaultAccountAdapter"

# allauth's own are added once it is installed: they import its models.
urlpatterns = [*mfa_pages.urlpatterns]


@pytest.fixture(scope="module")
def allauth(django_db_setup, django_db_blocker):
    """Install allauth for this module."""
    middleware = [*settings.MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
    with (
        django_db_blocker.unblock(),
        installed(
            *APPS,
            MIDDLEWARE=middleware,
            AUTHENTICATION_BACKENDS=[
                *settings.AUTHENTICATION_BACKENDS,
                "allauth.account.auth_backends.AuthenticationBackend",
            ],
            ACCOUNT_ADAPTER=OURS,
            ACCOUNT_EMAIL_VERIFICATION="none",
            ACCOUNT_RATE_LIMITS=False,
            HEADLESS_ENABLED=True,
            HEADLESS_CLIENTS=("browser",),
            SOCIALACCOUNT_ONLY=False,
            SOCIALACCOUNT_PROVIDERS={"dummy": {}},
        ),
    ):
        urlpatterns[:0] = [
            path("accounts/", include("allauth.urls")),
            path("_allauth/", include("allauth.headless.urls")),
        ]
        yield


@pytest.fixture
def member(db):
    """Return a user with an authenticator app and a social account."""
    from allauth.socialaccount.models import SocialAccount

    person = UserFactory()
    person.secret = give_totp(person)
    SocialAccount.objects.create(user=person, provider="dummy", uid="17")
    return person


def by_form(browser, member):
    return browser.post(
        "/accounts/login/?next=/basket/",
        {"login": member.username, "password": PASSWORD},
    )


def by_social_account(browser, member):
    begun = browser.post("/accounts/dummy/login/?next=/basket/")
    return browser.post(begun["Location"], {"id": 17})


def by_json(browser, member):
    return browser.post(
        "/_allauth/browser/v1/auth/login",
        {"username": member.username, "password": PASSWORD},
        content_type="application/json",
    )


@pytest.mark.parametrize("adapter", [OURS, THEIRS])
@pytest.mark.parametrize("door", [by_form, by_social_account, by_json])
def test_nobody_is_signed_in_without_room(client, member, settings, door, adapter):
    """Under ask every door leads to the choice, and it lets in."""
    settings.ACCOUNT_ADAPTER = adapter
    settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1, "LIMIT_STRATEGY": "ask"}
    Authenticator.objects.all().delete()
    Client().get(f"/enter/{member.pk}/")
    (other,) = Session.objects.filter(user=member)
    response = door(client, member)

    if door is by_json:
        assert response.status_code == 409
    else:
        assert response["Location"] == f"{CHOOSE}?next=/basket/"
    assert SESSION_KEY not in client.session
    assert client.get("/who/").json() == {"user": None}
    status = client.get("/_allauth/browser/v1/auth/session")
    assert status.json()["meta"]["is_authenticated"] is False
    assert member.username not in client.get(CHOOSE).content.decode()

    client.post(CHOOSE, {"end": str(other.pk)})
    assert client.get("/who/").json() == {"user": member.pk}


@pytest.mark.parametrize("adapter", [OURS, THEIRS])
@pytest.mark.parametrize("door", [by_form, by_social_account, by_json])
def test_nobody_is_signed_in_before_the_code(client, member, settings, door, adapter):
    """Whichever door and whoever's adapter: half done, and whole with the code."""
    settings.ACCOUNT_ADAPTER = adapter
    client.raise_request_exception = False
    door(client, member)

    assert SESSION_KEY not in client.session
    assert client.get("/who/").json() == {"user": None}
    status = client.get("/_allauth/browser/v1/auth/session")
    assert status.json()["meta"]["is_authenticated"] is False

    code = code_at(member.secret, timezone.now())
    assert client.post(VERIFY, {"code": code}).status_code == 302
    assert client.get("/who/").json() == {"user": member.pk}
    assert client.session.aal == 2


@pytest.mark.parametrize("door", [by_form, by_social_account])
def test_a_page_leads_on_to_the_code_and_back(client, member, door):
    """The flow stops, and after the code goes where it was to go."""
    assert door(client, member)["Location"] == f"{VERIFY}?next=/basket/"


def test_allauth_announces_nobody(client, member):
    """Neither its signal nor its greeting takes a password for a login."""
    from allauth.account.signals import user_logged_in

    with heard(user_logged_in) as told:
        by_form(client, member)
    assert told == []
    assert member.username not in client.get(VERIFY).content.decode()


@pytest.mark.parametrize("asked", ["//evil.example", "https://evil.example/", ""])
def test_it_never_leads_away(client, member, asked):
    """What a link asked for is followed on this site only."""
    client.get("/put/tea/")
    response = client.post(
        f"/accounts/login/?next={asked}",
        {"login": member.username, "password": PASSWORD},
    )
    assert "evil" not in response["Location"]
    assert response["Location"].startswith(VERIFY)


def test_a_program_is_told_what_is_missing(client, member):
    """The JSON login answers as every JSON login does here."""
    response = by_json(client, member)
    assert response.status_code == 401
    assert json.loads(response.content)["error"] == "mfa_required"
    assert json.loads(response.content)["url"] == VERIFY


@pytest.mark.parametrize("door", [by_form, by_json])
def test_who_has_no_factor_is_not_held_up(client, door):
    """allauth's login ends as it always does."""
    user = UserFactory()
    door(client, user)
    assert client.get("/who/").json() == {"user": user.pk}
