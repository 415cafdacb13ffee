"""Where am I signed in: a person's own sessions, and nobody else's."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.formats import date_format

from django_secure_sessions import lifecycle
from django_secure_sessions.models import Session, SessionEvent
from tests.factories import PASSWORD, UserFactory
from tests.mfa import code_at, give_totp

pytestmark = pytest.mark.django_db

LIST = "/account/sessions/"
END_OTHERS = "/account/sessions/end-others/"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/1"


def end_url(browser):
    return reverse("secure_sessions:end_session", args=[browser.session_id])


def reason_of(browser):
    return Session.objects.get(pk=browser.session_id).end_reason


@pytest.fixture
def laptop(user, sign_in):
    return sign_in(user)


@pytest.fixture
def phone(user, sign_in):
    return sign_in(user, ip="198.51.100.4", user_agent=IPHONE)


@pytest.fixture
def stranger(sign_in):
    """The browser of somebody else."""
    return sign_in(UserFactory(), ip="192.0.2.99")


@pytest.fixture
def later(time_machine, laptop, phone):
    """Let so much time pass that a proof of identity is asked for again."""
    started = laptop.session.authenticated_at
    time_machine.move_to(started + timedelta(minutes=16), tick=False)
    return started + timedelta(minutes=16)


class TestList:
    """The page with the own sessions."""

    def test_own_sessions_are_shown_with_device_and_address(
        self, laptop, phone, stranger
    ):
        """Each live session of the user is there, and none of anybody else."""
        page = laptop.get(LIST).content.decode()

        assert "Firefox on Linux" in page
        assert "203.0.113.7" in page
        assert "Safari on iPhone" in page
        assert "198.51.100.4" in page
        assert "192.0.2.99" not in page

    def test_current_session_is_marked_and_comes_first(self, laptop, phone):
        """Exactly one session is called this device: the one that asks."""
        sessions = laptop.get(LIST).context["sessions"]

        assert [session.id for session in sessions] == [
            laptop.session_id,
            phone.session_id,
        ]
        assert [session.is_current for session in sessions] == [True, False]

    def test_ended_session_moves_to_the_history(self, laptop, phone):
        """A session that was revoked is listed no more, and told of below."""
        lifecycle.end(phone.session_id)

        response = laptop.get(LIST)

        assert [session.id for session in response.context["sessions"]] == [
            laptop.session_id
        ]
        assert "Signed out: session revoked" in [
            event.text for event in response.context["events"]
        ]

    def test_history_shows_the_device_that_was_signed_out(self, laptop, phone):
        """Who ended the other session is no news; which one it was is."""
        laptop.post(end_url(phone))

        (end,) = [
            event
            for event in laptop.get(LIST).context["events"]
            if event.text.startswith("Signed out")
        ]
        assert (end.device, end.ip_address) == ("Safari on iPhone", "198.51.100.4")

    def test_history_tells_ends_from_acts(self, user, laptop, phone):
        """One password change is one sign-out of each other session, where it was."""
        user.set_password("another horse")
        user.save()

        laptop.force_login(user)
        page = laptop.get(LIST)

        ends = {
            (event.text, event.device, event.ip_address)
            for event in page.context["events"]
            if event.text != "Signed in"
        }
        assert ends == {
            ("Signed out: password changed", "Firefox on Linux", "203.0.113.7"),
            ("Signed out: password changed", "Safari on iPhone", "198.51.100.4"),
        }

    def test_each_session_says_when_it_expires(self, laptop, phone):
        """The next deadline of each, and the zone that the times are in."""
        response = laptop.get(LIST)

        page = response.content.decode()
        for session in response.context["sessions"]:
            assert session.expires_at == session.last_activity + timedelta(minutes=30)
            shown = date_format(session.expires_at, "SHORT_DATETIME_FORMAT")
            label = (
                f'data-label="Expires"><time datetime="{session.expires_at:%Y-%m-%d}'
            )
            assert page.count(label) == 2
            assert f">{shown}</time>" in page
        assert "zone UTC" in page

    def test_page_is_neither_cached_nor_framed(self, laptop):
        """The page is for one person, now, and not for a frame of another site."""
        response = laptop.get(LIST)

        assert "no-store" in response["Cache-Control"]
        assert response["X-Frame-Options"] == "DENY"

    def test_page_holds_no_secret(self, laptop, phone):
        """Neither key nor digest of any session, nor what it stores, is in the page."""
        page = laptop.get(LIST).content.decode()

        for browser in (laptop, phone):
            assert browser.session.session_key not in page
        for row in Session.objects.all():
            assert str(row.key_digest) not in page
            assert row.key_digest.hex not in page
            assert bytes(row.data).hex() not in page

    def test_hostile_device_is_escaped(self, laptop, user, sign_in):
        """What a browser calls itself is text, in whatever it is written."""
        sign_in(user, user_agent="<script>alert(1)</script>\"onx='")

        page = laptop.get(LIST).content.decode()

        assert "<script" not in page
        assert '"onx=' not in page

    def test_page_runs_and_styles_nothing_inline(self, laptop, phone):
        """The page works under a policy that allows no inline script or style."""
        page = laptop.get(LIST).content.decode()

        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", page)

    def test_nobody_is_sent_to_the_login(self, db):
        """Who isn't signed in signs in first, and then sees the list."""
        response = Client().get(LIST)

        assert response.status_code == 302
        assert response["Location"] == f"/login/?next={LIST}"

    def test_two_sessions_cost_as_many_queries_as_three(
        self, user, laptop, phone, sign_in, django_assert_num_queries
    ):
        """The number of queries does not follow the number of sessions."""
        with django_assert_num_queries(4):
            laptop.get(LIST)
        sign_in(user)
        with django_assert_num_queries(4):
            laptop.get(LIST)


class TestEndOne:
    """The button beside a session."""

    def test_other_session_ends_at_once(self, laptop, phone, is_signed_in):
        """The next request of the other browser is nobody's; this one goes on."""
        response = laptop.post(end_url(phone))

        assert response["Location"] == LIST
        assert not is_signed_in(phone)
        assert is_signed_in(laptop)

    def test_end_is_recorded_with_who_and_from_where(self, user, laptop, phone):
        """The history says that the user ended the session, and with which client."""
        laptop.post(end_url(phone))

        event = SessionEvent.objects.get(kind="revoked")
        assert event.session_id == phone.session_id
        assert event.actor == user.username
        assert event.ip_address == "203.0.113.7"

    def test_session_of_another_user_is_not_found(self, laptop, stranger, is_signed_in):
        """Somebody else's session can't be told from one that doesn't exist."""
        response = laptop.post(end_url(stranger))

        assert response.status_code == 404
        assert is_signed_in(stranger)

    def test_get_ends_nothing(self, laptop, phone, is_signed_in):
        """A link or an image can't end a session: it leads to the list."""
        response = laptop.get(end_url(phone))

        assert response["Location"] == LIST
        assert is_signed_in(phone)

    def test_forged_request_is_refused(self, user, sign_in, phone, is_signed_in):
        """Without the token of our own form nothing ends."""
        careful = sign_in(user, enforce_csrf_checks=True)

        response = careful.post(end_url(phone))

        assert response.status_code == 403
        assert is_signed_in(phone)

    def test_pressing_twice_is_harmless(self, laptop, phone):
        """Ending what has ended changes nothing and fails at nothing."""
        laptop.post(end_url(phone))

        response = laptop.post(end_url(phone))

        assert response["Location"] == LIST
        assert SessionEvent.objects.filter(kind="revoked").count() == 1

    def test_ending_the_current_one_signs_out(self, laptop, is_signed_in):
        """The button at this device is the way out, with the reason logout."""
        response = laptop.post(end_url(laptop))

        assert response.status_code == 302
        assert not is_signed_in(laptop)
        assert reason_of(laptop) == "logout"

    def test_who_signed_out_reads_so_where_that_leads(self, laptop):
        """The next page that shows messages has a word for it, and needs no session."""
        laptop.post(end_url(laptop))

        page = laptop.get("/admin/login/").content.decode()

        assert "You are signed out." in page
        assert Session.objects.filter(user=None).count() == 0


class TestEndOthers:
    """The button for all the others."""

    def test_all_but_this_one_end(self, user, laptop, phone, sign_in, is_signed_in):
        """Every other browser of the user is out, this one stays."""
        tablet = sign_in(user)

        laptop.post(END_OTHERS)

        assert is_signed_in(laptop)
        assert not is_signed_in(phone)
        assert not is_signed_in(tablet)

    def test_other_people_are_not_touched(self, laptop, stranger, is_signed_in):
        """Only the user's own sessions end."""
        laptop.post(END_OTHERS)

        assert is_signed_in(stranger)

    def test_get_ends_nothing(self, laptop, phone, is_signed_in):
        """A link can't end sessions: it leads to the list."""
        response = laptop.get(END_OTHERS)

        assert response["Location"] == LIST
        assert is_signed_in(phone)


class TestFreshness:
    """A thief with an open browser can't lock the owner out everywhere else."""

    def test_password_is_asked_for_after_a_while(self, laptop, phone, later):
        """Without a fresh proof nothing ends, and the page asks for the password."""
        response = laptop.post(END_OTHERS)

        assert response.status_code == 200
        assert 'name="password"' in response.content.decode()
        assert reason_of(phone) == ""

    def test_up_to_fifteen_minutes_nothing_is_asked(
        self, laptop, phone, time_machine, is_signed_in
    ):
        """The proof of the sign-in counts until exactly a quarter of an hour later."""
        started = laptop.session.authenticated_at
        time_machine.move_to(started + timedelta(minutes=15, seconds=-1), tick=False)

        laptop.post(END_OTHERS)

        assert reason_of(phone) == "revoked"

    def test_right_password_ends_them(self, laptop, phone, later, is_signed_in):
        """The password, sent along, is proof enough."""
        laptop.post(END_OTHERS, {"password": PASSWORD})

        assert reason_of(phone) == "revoked"
        assert is_signed_in(laptop)

    def test_right_password_renews_the_proof(self, laptop, phone, later):
        """Afterwards the session counts as freshly authenticated, under a new key."""
        before = laptop.cookies["sessionid"].value

        laptop.post(end_url(phone), {"password": PASSWORD})

        assert laptop.session.authenticated_at == later
        assert laptop.cookies["sessionid"].value != before
        assert laptop.session.public_id == laptop.session_id

    def test_wrong_password_ends_nothing(self, laptop, phone, later):
        """A wrong password is refused and counted, and asked for again."""
        response = laptop.post(end_url(phone), {"password": "guess"})

        assert response.status_code == 200
        assert "This is not right" in response.content.decode()
        assert "guess" not in response.content.decode()
        assert reason_of(phone) == ""
        assert SessionEvent.objects.filter(kind="mfa_failed").count() == 1

    def test_guessing_is_slowed_down(self, laptop, phone, later):
        """After five wrong ones even the right password has to wait."""
        for number in range(5):
            laptop.post(END_OTHERS, {"password": f"guess {number}"})

        response = laptop.post(END_OTHERS, {"password": PASSWORD})

        assert "Too many attempts" in response.content.decode()
        assert reason_of(phone) == ""

    def test_who_has_a_second_factor_shows_a_code(self, user, laptop, phone, later):
        """The password alone, known to whoever stole it, is not enough."""
        secret = give_totp(user)

        refused = laptop.post(END_OTHERS, {"password": PASSWORD})

        assert 'name="code"' in refused.content.decode()
        assert reason_of(phone) == ""

        laptop.post(END_OTHERS, {"code": code_at(secret, later)})

        assert reason_of(phone) == "revoked"

    def test_what_is_no_code_costs_no_attempt(self, user, laptop, later):
        """A mistyped code is refused before it is counted."""
        give_totp(user)

        response = laptop.post(END_OTHERS, {"code": "not a code"})

        assert "This is not a code" in response.content.decode()
        assert not SessionEvent.objects.filter(kind="mfa_failed").exists()

    def test_user_without_password_is_told_what_to_do(
        self, user, phone, later, sign_in, time_machine
    ):
        """Who signs in elsewhere can't be asked here, and reads why."""
        user.set_unusable_password()
        type(user).objects.filter(pk=user.pk).update(password=user.password)
        elsewhere = sign_in(user)
        time_machine.move_to(later + timedelta(minutes=20), tick=False)

        response = elsewhere.post(END_OTHERS, {"password": ""})

        page = response.content.decode()
        assert "Sign out, sign in again" in page
        assert 'name="password"' not in page
        assert reason_of(phone) == ""

    def test_signing_out_needs_no_proof(self, laptop, later, is_signed_in):
        """Whoever sits here may always leave."""
        laptop.post(end_url(laptop))

        assert not is_signed_in(laptop)

    def test_foreign_session_is_not_found_before_anything_is_asked(
        self, laptop, stranger, later
    ):
        """The question for a password tells nobody which sessions exist."""
        assert laptop.post(end_url(stranger)).status_code == 404
