"""The JSON API: the same promises as the pages, in data and status codes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from django_secure_sessions import lifecycle
from django_secure_sessions.models import Session
from tests.factories import PASSWORD, UserFactory
from tests.mfa import code_at, give_totp

pytestmark = pytest.mark.django_db

SESSIONS = "/account/api/sessions/"
END_OTHERS = "/account/api/sessions/end-others/"
STATUS = "/account/api/session/"
KEEP_ALIVE = "/account/api/session/keep-alive/"


def url_of(browser):
    return f"{SESSIONS}{browser.session_id}/"


def reason_of(browser):
    return Session.objects.get(pk=browser.session_id).end_reason


def send(browser, url, method="post", **fields):
    """Send fields as JSON."""
    return getattr(browser, method)(url, fields, content_type="application/json")


@pytest.fixture
def laptop(user, sign_in):
    return sign_in(user)


@pytest.fixture
def phone(user, sign_in):
    return sign_in(user, ip="198.51.100.4")


@pytest.fixture
def stranger(sign_in):
    return sign_in(UserFactory())


@pytest.fixture
def started(laptop):
    """When the laptop signed in."""
    return laptop.session.authenticated_at


class TestList:
    def test_own_sessions_with_the_current_one_marked(self, laptop, phone, stranger):
        """The list has the user's live sessions, the one that asks first."""
        found = laptop.get(SESSIONS).json()["sessions"]

        assert [session["id"] for session in found] == [
            str(laptop.session_id),
            str(phone.session_id),
        ]
        assert [session["current"] for session in found] == [True, False]
        assert found[1]["ip_address"] == "198.51.100.4"

    def test_no_secret_is_in_it(self, laptop, phone):
        """No key, no digest and no payload is in the answer."""
        text = laptop.get(SESSIONS).content.decode()

        for row in Session.objects.all():
            assert str(row.key_digest) not in text
            assert row.key_digest.hex not in text
        assert laptop.session.session_key not in text
        assert "colour" not in text

    def test_nothing_keeps_a_copy(self, laptop):
        """The answer is not for a cache."""
        assert "no-store" in laptop.get(SESSIONS)["Cache-Control"]


class TestEnd:
    @pytest.mark.parametrize(
        ("method", "suffix"), [("delete", ""), ("post", ""), ("post", "end/")]
    )
    def test_one_session_ends_at_once(
        self, laptop, phone, method, suffix, is_signed_in
    ):
        """Deleting a session, or posting to its end, signs that browser out."""
        response = getattr(laptop, method)(url_of(phone) + suffix)

        assert response.json() == {"ended": 1}
        assert not is_signed_in(phone)

    def test_all_others_end(self, laptop, phone, stranger, is_signed_in):
        """The answer counts the user's other sessions that ended."""
        assert laptop.post(END_OTHERS).json() == {"ended": 1}
        assert is_signed_in(laptop)
        assert is_signed_in(stranger)
        assert not is_signed_in(phone)

    def test_twice_is_harmless(self, laptop, phone):
        """The second time there is nothing left to end."""
        laptop.delete(url_of(phone))

        assert laptop.delete(url_of(phone)).json() == {"ended": 0}
        assert laptop.post(END_OTHERS).json() == {"ended": 0}

    def test_foreign_session_is_not_found(self, laptop, stranger, is_signed_in):
        """Somebody else's session is as unknown as one that never was."""
        response = laptop.delete(url_of(stranger))

        assert response.status_code == 404
        assert response.json()["error"] == "not_found"
        assert is_signed_in(stranger)

    def test_own_current_session_is_signed_out(self, laptop, is_signed_in):
        """Ending the session that asks is signing out."""
        assert laptop.delete(url_of(laptop)).json() == {"ended": 1}
        assert not is_signed_in(laptop)
        assert reason_of(laptop) == "logout"


class TestFreshness:
    @pytest.fixture(autouse=True)
    def later(self, laptop, phone, started, time_machine):
        moment = started + timedelta(minutes=16)
        time_machine.move_to(moment, tick=False)
        return moment

    def test_proof_is_asked_for(self, laptop, phone):
        """After a while ending others takes a proof, and the answer says which."""
        response = laptop.post(END_OTHERS)

        assert response.status_code == 403
        assert response.json() == {
            "error": "reauthentication_required",
            "reason": "password",
            "detail": "Confirm that it is you.",
        }
        assert reason_of(phone) == ""

    @pytest.mark.parametrize("method", ["post", "delete"])
    def test_password_along_with_the_request_will_do(self, laptop, phone, method):
        """One request can show the password and end the session."""
        response = send(laptop, url_of(phone), method, password=PASSWORD)

        assert response.json() == {"ended": 1}

    def test_wrong_password_is_refused(self, laptop, phone):
        """A wrong password ends nothing and is not repeated."""
        response = send(laptop, END_OTHERS, password="guess")

        assert response.status_code == 403
        assert response.json()["error"] == "reauthentication_required"
        assert "guess" not in response.content.decode()
        assert reason_of(phone) == ""

    def test_guessing_is_slowed_down(self, laptop, phone):
        """After five wrong ones the right password is not even looked at."""
        for number in range(5):
            send(laptop, END_OTHERS, password=f"guess {number}")

        response = send(laptop, END_OTHERS, password=PASSWORD)

        assert response.status_code == 429
        assert response.json()["error"] == "too_many_attempts"
        assert 0 < int(response["Retry-After"]) <= 31
        assert reason_of(phone) == ""

    def test_second_factor_takes_the_place_of_the_password(
        self, user, laptop, phone, later
    ):
        """Who has a factor is asked for a code, and the password does nothing."""
        secret = give_totp(user)

        refused = send(laptop, END_OTHERS, password=PASSWORD)
        accepted = send(laptop, END_OTHERS, code=code_at(secret, later))

        assert refused.json()["reason"] == "code"
        assert accepted.json() == {"ended": 1}

    def test_without_password_and_factor_only_a_new_login_helps(
        self, user, laptop, phone, time_machine, sign_in, later
    ):
        """The answer says so, for who signs in without a password."""
        user.set_unusable_password()
        type(user).objects.filter(pk=user.pk).update(password=user.password)
        elsewhere = sign_in(user)
        time_machine.move_to(later + timedelta(minutes=20), tick=False)

        response = send(elsewhere, END_OTHERS, password="")

        assert response.status_code == 403
        assert response.json()["reason"] == "login"

    @pytest.mark.parametrize(
        "body",
        ["{", "[]", '"text"', '{"password": 1}', '{"password": null}', "[" * 9999],
    )
    def test_what_can_not_be_read_is_refused(self, laptop, phone, body):
        """A broken body, or a value that is no text, is a 400 and never a 500."""
        response = laptop.post(END_OTHERS, body, content_type="application/json")

        assert response.status_code == 400
        assert response.json()["error"] == "malformed"
        assert reason_of(phone) == ""

    def test_also_from_who_signed_in_a_moment_ago(self, user, phone, sign_in):
        """That no proof is asked for does not make the body readable."""
        fresh = sign_in(user)
        response = fresh.post(END_OTHERS, "{bad", content_type="application/json")

        assert response.status_code == 400
        assert reason_of(phone) == ""

    @pytest.mark.parametrize("address", ["sessions/abc/", "no/such/thing/", "x"])
    def test_unknown_addresses_are_refused_in_json(self, laptop, address):
        """A program that mistypes an address gets a 404 that it can read."""
        for send in (laptop.get, laptop.delete):
            response = send(f"/account/api/{address}")

            assert response.status_code == 404
            assert response.json()["error"] == "not_found"


class TestStatus:
    def test_remaining_time_is_told_in_seconds(self, laptop, started, time_machine):
        """Both limits count down from the stamps the server has."""
        time_machine.move_to(started + timedelta(minutes=10), tick=False)

        found = laptop.get(STATUS).json()

        assert found["idle_remaining"] == 20 * 60
        assert found["absolute_remaining"] == (12 * 60 - 10) * 60
        assert found["remaining"] == 20 * 60
        assert found["expires_at"] == (started + timedelta(minutes=30)).isoformat()

    def test_asking_is_no_activity(self, laptop, started, time_machine):
        """However often a page asks, the session ends when it would have ended."""
        for minutes in (10, 20, 29):
            time_machine.move_to(started + timedelta(minutes=minutes), tick=False)
            assert laptop.get(STATUS).status_code == 200
        time_machine.move_to(started + timedelta(minutes=30), tick=False)

        response = laptop.get(STATUS)

        assert response.status_code == 401
        assert response.json()["error"] == "session_expired"
        assert response.json()["reason"] == "idle"

    def test_without_limits_there_is_nothing_to_count(self, laptop, settings):
        """A limit that a site does not have is null."""
        settings.SECURE_SESSIONS = {"IDLE_TIMEOUT": None, "ABSOLUTE_TIMEOUT": None}

        found = laptop.get(STATUS).json()

        assert found["idle_remaining"] is None
        assert found["absolute_remaining"] is None
        assert found["remaining"] > 0

    def test_it_costs_two_queries(self, laptop, django_assert_num_queries):
        """A poll reads the session and the user, and writes nothing."""
        with django_assert_num_queries(2):
            laptop.get(STATUS)


class TestKeepAlive:
    def test_idle_limit_starts_again(self, laptop, started, time_machine):
        """Afterwards the whole idle time is left, the absolute limit unmoved."""
        time_machine.move_to(started + timedelta(minutes=29), tick=False)

        found = laptop.post(KEEP_ALIVE).json()

        assert found["idle_remaining"] == 30 * 60
        assert found["absolute_remaining"] == (12 * 60 - 29) * 60
        assert laptop.get(STATUS).json()["idle_remaining"] == 30 * 60

    def test_request_can_not_say_how_long(self, laptop, started, time_machine):
        """What a client sends along changes nothing."""
        time_machine.move_to(started + timedelta(minutes=5), tick=False)

        found = send(laptop, KEEP_ALIVE, idle=999_999, last_activity="2099-01-01")

        assert found.json()["idle_remaining"] == 30 * 60

    def test_calling_often_writes_once(
        self, laptop, started, time_machine, django_assert_num_queries
    ):
        """Within the touch interval a call costs two reads."""
        time_machine.move_to(started + timedelta(minutes=5), tick=False)
        laptop.post(KEEP_ALIVE)

        with django_assert_num_queries(2):
            laptop.post(KEEP_ALIVE)

    def test_get_does_not_keep_alive(self, laptop):
        """A link or an image is refused."""
        response = laptop.get(KEEP_ALIVE)

        assert response.status_code == 405
        assert response["Allow"] == "POST"
        assert response.json()["error"] == "method_not_allowed"


class TestRefusals:
    """Whatever the client says it accepts, it gets JSON with a status."""

    @pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json"])
    @pytest.mark.parametrize(
        ("method", "url"),
        [
            ("get", SESSIONS),
            ("get", STATUS),
            ("post", KEEP_ALIVE),
            ("post", END_OTHERS),
        ],
    )
    def test_nobody_is_401(self, db, method, url, accept):
        """Nobody signed in: no redirect to a page, but a 401."""
        response = getattr(Client(), method)(url, headers={"accept": accept})

        assert response.status_code == 401
        assert response.json()["error"] == "authentication_required"

    def test_revoked_session_is_told_why(self, laptop):
        """A browser whose session was revoked hears so, not just who are you."""
        lifecycle.end(laptop.session_id)

        response = laptop.get(SESSIONS, headers={"accept": "text/html"})

        assert response.status_code == 401
        assert response.json()["error"] == "session_ended"
        assert response.json()["reason"] == "revoked"

    @pytest.mark.parametrize("url", [END_OTHERS, KEEP_ALIVE, SESSIONS + "{}/"])
    def test_forged_request_is_refused(self, user, sign_in, phone, url):
        """Without a CSRF token nothing happens, and the refusal is JSON."""
        careful = sign_in(user, enforce_csrf_checks=True)

        response = send(careful, url.format(phone.session_id))

        assert response.status_code == 403
        assert response.json()["error"] == "csrf_failed"
        assert reason_of(phone) == ""

    def test_token_in_a_header_is_accepted(self, user, sign_in, phone):
        """A script sends the token of a page of ours in the usual header."""
        careful = sign_in(user, enforce_csrf_checks=True)
        careful.get("/account/sessions/")
        token = careful.cookies["csrftoken"].value

        response = careful.post(END_OTHERS, headers={"x-csrftoken": token})

        assert response.json() == {"ended": 1}
