"""The page and the JSON that take the code: every answer, and nothing between."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from unittest import mock

import pytest
from django.contrib.auth import user_login_failed
from django.test import Client, override_settings
from django.utils import timezone

from django_secure_sessions.mfa import pending
from django_secure_sessions.models import Authenticator, Session, SessionEvent
from tests.factories import PASSWORD, UserFactory
from tests.hearing import heard
from tests.mfa import code_at, give_recovery_codes, give_totp, wrong_code

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.mfa_pages")]

VERIFY = "/account/mfa/verify/"
HOSTILE = [
    "//evil.example",
    "/\\evil.example",
    "////evil.example",
    "https:evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "http://testserver@evil.example",
    "\nhttps://evil.example",
    "ht\ntp://evil.example",
]


@pytest.fixture
def member(db):
    """Return a user with an app (``.secret``) and recovery codes (``.codes``)."""
    person = UserFactory()
    person.secret = give_totp(person)
    person.codes = give_recovery_codes(person)
    return person


@pytest.fixture
def half(client, member):
    """Return a browser with a half-done login."""
    client.get(f"/enter/{member.pk}/")
    return client


def right(member, offset=0):
    return code_at(member.secret, timezone.now(), offset)


def wrong(member):
    return wrong_code(member.secret, timezone.now())


def send(browser, **body):
    """Send JSON."""
    return browser.post(VERIFY, body, content_type="application/json")


def is_signed_in(browser):
    return browser.get("/who/").json()["user"] is not None


class TestJSON:
    def test_success(self, half, member):
        """200, the level, and the session is bound."""
        response = send(half, code=right(member))
        assert response.status_code == 200
        assert response.json() == {"authenticated": True, "aal": 2, "next": "/"}
        assert half.get("/who/").json() == {"user": member.pk}

    def test_nothing_pending(self, client, db):
        """400 for who has not shown a password."""
        response = send(client, code="123456")
        assert response.status_code == 400
        assert response.json()["error"] == "nothing_pending"

    def test_a_finished_login_is_not_pending(self, half, member):
        """The half-done login is used up by its success."""
        send(half, code=right(member))
        assert send(half, code=right(member, 1)).status_code == 400

    def test_wrong_replayed_and_late_look_the_same(self, client, member):
        """401 with the same body for each: nothing to learn from it."""
        used = right(member)
        client.get(f"/enter/{member.pk}/")
        assert send(client, code=used).status_code == 200
        answers = []
        for code in (wrong(member), used, right(member, -3)):
            browser = Client()
            browser.get(f"/enter/{member.pk}/")
            response = send(browser, code=code)
            answers.append((response.status_code, response.content))
            assert not is_signed_in(browser)
        assert answers[0][0] == 401
        assert len(set(answers)) == 1

    def test_a_spent_budget(self, half, member):
        """429 with the time to wait; the right code is refused too, and unspent."""
        for _ in range(5):
            assert send(half, code=wrong(member)).status_code == 401

        response = send(half, code=right(member))

        assert response.status_code == 429
        assert response.json()["error"] == "too_many_attempts"
        assert 0 < int(response["Retry-After"]) <= 31
        assert Authenticator.objects.get(type="totp").last_step == -1
        assert not is_signed_in(half)

    def test_after_the_wait_one_starts_again(self, half, member, time_machine):
        """The half-done login is gone with its five tries."""
        for _ in range(5):
            send(half, code=wrong(member))
        time_machine.move_to(timezone.now() + timedelta(seconds=31))

        assert send(half, code=right(member)).status_code == 400
        half.get(f"/enter/{member.pk}/")
        assert send(half, code=right(member)).status_code == 200

    def test_disabled_factors(self, half, member):
        """429 without a time: waiting does not help."""
        from django_secure_sessions.models import UserSecurity

        UserSecurity.objects.update_or_create(user=member, defaults={"failures": 50})
        response = send(half, code=right(member))
        assert response.status_code == 429
        assert "Retry-After" not in response

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"code": None},
            {"code": 123456},
            {"code": ["123456"]},
            {"code": {"a": 1}},
            {"code": True},
            {"code": "12345"},
            {"code": "1234567"},
            {"code": "\uff11\uff12\uff13\uff14\uff15\uff16"},
            {"recovery_code": 1},
            {"recovery_code": "short"},
            {"credential": "no json"},
            {"credential": [1]},
            {"credential": {"id": 1}},
        ],
    )
    def test_what_is_no_code_costs_nothing(self, half, member, body):
        """400, no 500, and the budget is untouched."""
        response = half.post(VERIFY, body, content_type="application/json")
        assert response.status_code == 400
        assert response.json()["error"] == "malformed_code"
        assert not SessionEvent.objects.filter(kind="mfa_failed").exists()
        assert half.session[pending.PENDING_KEY]["tries"] == 0

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 9999])
    def test_what_is_no_json_costs_nothing(self, half, body):
        """The same for bodies of another shape."""
        response = half.generic("POST", VERIFY, body, "application/json")
        assert response.status_code == 400

    def test_a_recovery_code(self, half, member):
        """It stands in for the app, once."""
        assert send(half, recovery_code=member.codes[0]).status_code == 200
        again = Client()
        again.get(f"/enter/{member.pk}/")
        assert send(again, recovery_code=member.codes[0]).status_code == 401

    def test_what_can_be_shown(self, half, member):
        """A client learns which kinds this user has."""
        response = half.get(VERIFY, headers={"accept": "application/json"})
        assert response.json() == {"methods": ["recovery", "totp"]}

    def test_a_form_token_is_needed(self, member):
        """Login CSRF: without the token no code finishes a login."""
        browser = Client(enforce_csrf_checks=True)
        browser.get(f"/enter/{member.pk}/")
        response = browser.post(
            VERIFY, {"code": right(member)}, content_type="application/json"
        )
        assert response.status_code == 403
        assert not is_signed_in(browser)

    def test_the_token_is_asked_for_without_the_middleware(self, member, settings):
        """Also on a site that leaves CSRF to its views."""
        settings.MIDDLEWARE = [
            name for name in settings.MIDDLEWARE if "csrf" not in name.lower()
        ]
        browser = Client(enforce_csrf_checks=True)
        browser.get(f"/enter/{member.pk}/")
        assert browser.post(VERIFY, {"code": right(member)}).status_code == 403

    def test_nothing_is_cached(self, half, member):
        """No answer is kept by a cache or shown in a frame."""
        for response in (half.get(VERIFY), send(half, code=wrong(member))):
            assert "no-store" in response["Cache-Control"]


class TestPage:
    def test_it_is_made_for_hands_and_ears(self, half):
        """Labels, the right keyboard, the browser's own code filling."""
        page = half.get(VERIFY).content.decode()
        field = re.search(r'<input id="code"[^>]*>', page).group()
        assert 'inputmode="numeric"' in field
        assert 'autocomplete="one-time-code"' in field
        assert '<label for="code">' in page
        assert '<label for="recovery_code">' in page
        assert "<style" not in page
        assert not re.search(r"\son\w+=|style=|<script(?![^>]*src=)", page)

    def test_nothing_pending_leads_to_the_login(self, client, db):
        """A page can't help with that: one starts again."""
        response = client.get(VERIFY)
        assert response.status_code == 302
        assert response["Location"].startswith("/login/")
        assert client.post(VERIFY, {"code": "123456"}).status_code == 302

    def test_a_wrong_code_is_said_aloud(self, half, member):
        """The page again, with an alert that belongs to the field."""
        response = half.post(VERIFY, {"code": wrong(member)})
        page = response.content.decode()
        assert response.status_code == 401
        assert 'role="alert"' in page
        assert 'aria-invalid="true"' in page
        assert wrong(member) not in page

    def test_a_typing_error_is_no_attempt(self, half):
        """400 and a hint."""
        response = half.post(VERIFY, {"code": "12 34"})
        assert response.status_code == 400
        assert b'role="alert"' in response.content

    def test_a_spent_budget(self, half, member):
        """429 with the time to wait, as a page."""
        for _ in range(5):
            half.post(VERIFY, {"code": wrong(member)})
        response = half.post(VERIFY, {"code": right(member)})
        assert response.status_code == 429
        assert "Retry-After" in response

    def test_a_recovery_code_in_the_field_for_codes(self, half, member):
        """Whoever mistook the field is understood."""
        assert half.post(VERIFY, {"code": member.codes[0]}).status_code == 302
        assert is_signed_in(half)

    @pytest.mark.parametrize("url", HOSTILE)
    @pytest.mark.parametrize("place", ["query", "body"])
    def test_next_never_leads_away(self, half, member, url, place):
        """Whatever a link asked for, the login ends on this site."""
        page = half.get(VERIFY, {"next": url}).content.decode()
        assert "evil" not in page
        if place == "query":
            response = half.post(f"{VERIFY}?{query(url)}", {"code": right(member)})
        else:
            response = half.post(VERIFY, {"code": right(member), "next": url})
        assert response["Location"] == "/"

    @pytest.mark.parametrize("url", HOSTILE)
    def test_next_of_a_login_view_never_leads_away(self, client, member, url):
        """A foreign view's redirect to another site is not carried on."""
        from django_secure_sessions import answers

        request = client.get("/who/").wsgi_request
        assert answers.login_pending(request, url)["Location"] == VERIFY

    def test_next_leads_back(self, half, member):
        """A page of this site is where the login ends."""
        response = half.post(VERIFY, {"code": right(member), "next": "/basket/?page=2"})
        assert response["Location"] == "/basket/?page=2"


def query(url):
    from urllib.parse import urlencode

    return urlencode({"next": url})


class TestFailures:
    def test_an_error_at_the_bind_spends_no_code(self, half, member):
        """500, no session, and the same code works a moment later."""
        half.raise_request_exception = False
        code = right(member)
        with mock.patch(
            "django_secure_sessions.backends.owning.bind", side_effect=RuntimeError
        ):
            assert send(half, code=code).status_code == 500
        assert not Session.objects.filter(user=member).exists()
        assert Authenticator.objects.get(type="totp").last_step == -1

        assert send(half, code=code).status_code == 200

    def test_a_full_house_spends_no_code(self, member):
        """Refused by the limit: the code can be shown again later."""
        rules = {"MAX_SESSIONS": 1, "LIMIT_STRATEGY": "reject"}
        with override_settings(SECURE_SESSIONS=rules):
            first, second = Client(), Client()
            for browser in (first, second):
                browser.get(f"/enter/{member.pk}/")
            assert send(first, code=right(member)).status_code == 200
            step = Authenticator.objects.get(type="totp").last_step

            response = send(second, code=right(member, 1))

            assert response.status_code == 403
            assert response.json()["error"] == "session_limit_reached"
            assert Authenticator.objects.get(type="totp").last_step == step
            assert not is_signed_in(second)

    def test_no_code_leaks(self, half, member, caplog):
        """Neither logs nor signals nor the history hold what was typed."""
        bad, good = wrong(member), right(member)
        with heard(user_login_failed) as told, caplog.at_level(logging.DEBUG):
            send(half, code=bad)
            send(half, recovery_code=member.codes[1][:-1] + "A")
            send(half, code=good)
        history = str(list(SessionEvent.objects.values_list("detail", "kind")))
        for text in (bad, good, member.codes[1], PASSWORD):
            assert text not in caplog.text
            assert text not in history
            assert text not in str(told)

    def test_the_debug_page_hides_the_code(self, member):
        """Django's error reports show stars for what was sent."""
        browser = Client()
        browser.get(f"/enter/{member.pk}/")
        response = browser.post(VERIFY, {"recovery_code": member.codes[0]})
        request = response.wsgi_request
        assert request.sensitive_post_parameters == "__ALL__"


class TestEnumeration:
    def test_the_password_step_tells_nothing_about_factors(self, client, member):
        """Unknown, and wrong with and without a factor: the same page each time."""
        plain = UserFactory()
        seen = []
        for name in ("nobody", plain.username, member.username):
            response = client.post("/login/", {"username": name, "password": "no"})
            page = response.content.decode()
            page = re.sub(r'value="[^"]*"', "", page)
            seen.append((response.status_code, page))
        assert seen[0] == seen[1] == seen[2]

    def test_no_status_changes_before_the_password(self, client, member):
        """The verify address answers everybody without a half-done login alike."""
        first = send(client, code="123456")
        second = send(Client(), code=right(member))
        assert first.content == second.content
