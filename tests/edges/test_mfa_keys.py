"""Security keys at the site: set up, used, and each challenge good for one try."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from django_secure_sessions.mfa import webauthn
from django_secure_sessions.models import Authenticator, SessionEvent
from tests.mfa import give_totp
from tests.security_key import Key, b64

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.mfa_pages")]

ADD = "/account/mfa/key/add/"
ADD_CHALLENGE = f"{ADD}challenge/"
VERIFY = "/account/mfa/verify/"
CHALLENGE = f"{VERIFY}challenge/"
CONFIRM = "/account/mfa/confirm/"
HERE = webauthn.Party("testserver", "http://testserver", "testserver")


def challenge_of(options):
    """Return the challenge that a browser was given, as the key sees it."""
    text = options["challenge"]
    from base64 import urlsafe_b64decode

    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return webauthn.Challenge(raw.hex(), 0)


def ask(browser, url=CHALLENGE):
    response = browser.post(url)
    assert response.status_code == 200, response.content
    return challenge_of(response.json())


def show(browser, answer, url=VERIFY):
    return browser.post(url, {"credential": answer}, content_type="application/json")


@pytest.fixture
def key(user):
    """Return a key that the user has set up here."""
    browser, key = Client(), Key()
    browser.get(f"/enter/{user.pk}/")
    answer = key.create(ask(browser, ADD_CHALLENGE), HERE)
    page = browser.post(ADD, {"credential": json.dumps(answer), "name": "blue"})
    assert page.status_code == 200, page.content
    return key


@pytest.mark.parametrize(
    ("host", "is_told"),
    [
        ("testserver", False),
        ("localhost:8000", False),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
    ],
)
def test_page_names_what_keeps_a_key_from_working(
    client, user, settings, host, is_told
):
    """Where the site was opened by an address, the reason is said before the try."""
    settings.ALLOWED_HOSTS = ["*"]
    client.force_login(user)

    page = client.get(ADD, headers={"host": host}).content.decode()

    assert ("opened by an IP address" in page) is is_told


@pytest.fixture
def half(user, key):
    """Return a browser with a half-done login of the user."""
    browser = Client()
    browser.get(f"/enter/{user.pk}/")
    return browser


def test_a_key_is_set_up(user, key):
    """It is a factor, and as the first one it brought recovery codes."""
    assert Authenticator.objects.get(type="webauthn").name == "blue"
    assert Authenticator.objects.filter(type="recovery").exists()


def test_a_key_finishes_a_login(user, key, half):
    """Level 2, by a key."""
    response = show(half, key.sign(ask(half), HERE))
    assert response.status_code == 200
    assert half.get("/who/").json() == {"user": user.pk}
    assert half.session.amr == ("pwd", "hwk")


def test_the_page_offers_it(half):
    """With one small module of our own, and nothing inline."""
    page = half.get(VERIFY).content.decode()
    assert 'data-webauthn="get"' in page
    assert 'src="/static/secure_sessions/webauthn.js"' in page


def test_a_challenge_is_good_for_one_try(key, half):
    """A wrong answer uses it up: the right one comes too late."""
    asked = ask(half)
    assert show(half, Key().sign(asked, HERE)).status_code == 401
    assert show(half, key.sign(asked, HERE)).status_code == 401
    assert half.get("/who/").json() == {"user": None}


def test_an_answer_is_good_for_one_login(user, key, half):
    """Replayed in another browser it finds no challenge of its own."""
    answer = key.sign(ask(half), HERE)
    assert show(half, answer).status_code == 200
    other = Client()
    other.get(f"/enter/{user.pk}/")
    ask(other)
    assert show(other, answer).status_code == 401


def test_a_challenge_serves_one_purpose(user, key, half):
    """What was asked to step up finishes no login, and the other way round."""
    asked = ask(half)
    session = half.session
    session["_secure_sessions_challenge"] |= {"purpose": "step_up"}
    session.save()
    assert show(half, key.sign(asked, HERE)).status_code == 401


def test_a_key_steps_up(user, key, half):
    """The same key, for who is signed in already."""
    show(half, key.sign(ask(half), HERE))
    asked = ask(half, f"{CONFIRM}challenge/")
    assert show(half, key.sign(asked, HERE), CONFIRM).status_code == 200


def test_nobody_is_given_a_challenge(client, db):
    """Neither without a half-done login nor without a session."""
    assert client.post(CHALLENGE).status_code == 400
    json_client = {"headers": {"accept": "application/json"}}
    assert client.post(f"{CONFIRM}challenge/", **json_client).status_code == 401
    assert client.post(ADD_CHALLENGE, **json_client).status_code == 401


def test_a_copied_key_is_told_in_the_history(key, half):
    """The counter that does not rise is recorded as such."""
    factor = Authenticator.objects.get(type="webauthn")
    Authenticator.objects.filter(pk=factor.pk).update(sign_count=100)
    assert show(half, key.sign(ask(half), HERE)).status_code == 401
    event = SessionEvent.objects.get(kind="mfa_failed")
    assert event.detail["why"] == "counter"


def test_a_half_done_login_sets_up_no_key(half):
    """A key is added by who has shown a factor, not by who has yet to."""
    json_client = {"headers": {"accept": "application/json"}}
    assert half.post(ADD_CHALLENGE, **json_client).status_code == 401


def test_a_refused_key_is_said_aloud(client, user):
    """The page again, with an alert; nothing was added."""
    client.get(f"/enter/{user.pk}/")
    ask(client, ADD_CHALLENGE)
    page = client.post(ADD, {"credential": json.dumps({"id": b64(b"x")})})
    assert page.status_code == 400
    assert 'role="alert"' in page.content.decode()
    assert not Authenticator.objects.exists()


def test_with_an_app_both_ways_are_open(user, key, half):
    """Who has several factors shows any one of them."""
    give_totp(user)
    page = half.get(VERIFY).content.decode()
    assert 'id="code"' in page
    assert 'data-webauthn="get"' in page


def test_a_program_sets_up_a_key(client, user):
    """A challenge, the answer of the key to it, and recovery codes, all as data."""
    client.get(f"/enter/{user.pk}/")
    json_only = {"headers": {"accept": "application/json"}}
    assert client.get(ADD, **json_only).json() == {"url": ADD_CHALLENGE}
    answer = Key().create(ask(client, ADD_CHALLENGE), HERE)

    added = show(client, answer, ADD)

    assert len(added.json()["recovery_codes"]) == 10
    assert Authenticator.objects.filter(user=user, type="webauthn").exists()
    replayed = show(client, answer, ADD)
    assert replayed.status_code == 400
    assert replayed.json()["error"] == "key_rejected"
