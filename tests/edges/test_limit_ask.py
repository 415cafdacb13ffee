"""Under ``ask`` a login beyond the limit waits until its user has made room."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY, get_user_model
from django.test import AsyncClient, Client
from django.urls import path
from django.utils import timezone

from django_secure_sessions import lifecycle
from django_secure_sessions.exceptions import SessionLimitReached
from django_secure_sessions.mfa import devices, pending
from django_secure_sessions.models import (
    Authenticator,
    Session,
    SessionEvent,
    TrustedDevice,
)
from django_secure_sessions.state import EndReason, LimitStrategy, Rules
from tests.edges.test_mfa_doors import (
    DOORS,
    addresses,
    announcements,
    foreign_view,
    key_of,
    own_login_page,
    password_reset,
)
from tests.factories import PASSWORD, UserFactory
from tests.mfa import code_at, give_totp
from tests.mfa_pages import enter, who

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.mfa_pages"),
    pytest.mark.usefixtures("_asking"),
]

CHOOSE = "/account/sessions/choose/"
VERIFY = "/account/mfa/verify/"
JSON = {"headers": {"accept": "application/json"}}

# Of a site without our addresses.
urlpatterns = [path("enter/<int:pk>/", enter), path("who/", who)]


@pytest.fixture
def _asking(settings):
    settings.SECURE_SESSIONS = {"MAX_SESSIONS": 2, "LIMIT_STRATEGY": "ask"}


@pytest.fixture
def member(db):
    return UserFactory(is_staff=True, is_superuser=True)


@pytest.fixture
def others(member, sign_in):
    """Return two browsers in which the member is signed in: as many as allowed."""
    return [sign_in(member, user_agent=agent) for agent in ("Firefox/1", "Chrome/1")]


@pytest.fixture
def waiting(client, member, others):
    """Return a browser whose login of the member waits for room."""
    foreign_view(client, member)
    return client


def choose(browser, *ids, **more):
    return browser.post(CHOOSE, {"end": [str(pk) for pk in ids], **more})


def send(browser, *ids, **more):
    """Choose in JSON."""
    body = {"end": [str(pk) for pk in ids], **more}
    return browser.post(CHOOSE, body, content_type="application/json")


def user_of(browser):
    return browser.get("/who/").json()["user"]


def live(user):
    return set(
        Session.objects.filter(user=user, ended_at=None).values_list("pk", flat=True)
    )


def kinds(user):
    found = SessionEvent.objects.filter(user=user).order_by("pk")
    return list(found.values_list("kind", flat=True))


class TestWaiting:
    """What every door leaves behind when there is no room."""

    @pytest.fixture(params=DOORS, ids=lambda door: door.__name__)
    def door(self, request, settings):
        """Return a way to log in with a browser."""
        settings.SECURE_SESSIONS |= {"ON_PASSWORD_CHANGE": "keep"}
        return request.param

    def test_it_leads_to_the_choice(self, client, member, others, door):
        """Whatever the view answered, the browser is sent to make room."""
        response = door(client, member)
        assert response.status_code == 302
        assert response["Location"].startswith(CHOOSE)
        assert not response.wsgi_request.user.is_authenticated

    def test_nobody_is_signed_in(self, client, member, others, door):
        """Neither the request, nor the data, nor the row names the user."""
        before = live(member)
        door(client, member)

        assert client.get("/who/").json() == {"user": None}
        assert client.get("/awho/").json() == {"user": None}
        assert SESSION_KEY not in client.session
        assert live(member) == before
        assert Session.objects.get(pk=client.session.public_id).aal == 0

    def test_no_page_takes_it_for_a_session(self, client, member, others, door):
        """A crawl of every address finds none that knows the user."""
        door(client, member)
        for url in addresses():
            response = client.get(url)
            user = getattr(response.wsgi_request, "user", None)
            assert not getattr(user, "is_authenticated", False), url
            client.get(url, **JSON)
        assert client.session[pending.PENDING_KEY]["purpose"] == pending.ROOM

    def test_the_choice_lets_in(self, client, member, others, door):
        """It ends what was chosen, and the session is whole under a third key."""
        client.get("/put/tea/")
        planted = key_of(client)
        door(client, member)
        half = key_of(client)

        response = choose(client, others[0].session_id)

        assert response.status_code == 302
        assert user_of(client) == member.pk
        assert live(member) == {others[1].session_id, client.session.public_id}
        assert (client.session.aal, client.session.amr) == (1, ("pwd",))
        assert len({planted, half, key_of(client)}) == 3
        for key in (planted, half):
            assert SESSION_KEY not in type(client.session)(key)
        assert client.get("/basket/").content == b"tea"

    def test_with_room_the_door_is_open(self, client, member, door):
        """Nobody is asked while there is room."""
        door(client, member)
        assert user_of(client) == member.pk

    def test_it_is_announced_once(
        self, client, member, others, door, django_capture_on_commit_callbacks
    ):
        """Django's signal comes once in all, ours once and with the choice."""
        with announcements() as (django, ours):
            with django_capture_on_commit_callbacks(execute=True):
                door(client, member)
            assert ours == []
            with django_capture_on_commit_callbacks(execute=True):
                choose(client, others[0].session_id)
        assert (django, ours) == ([member.pk], [member.pk])

    def test_of_somebody_else_in_the_same_browser(self, client, member, others):
        """The first one's session ends; the second one waits all the same."""
        first = UserFactory()
        foreign_view(client, first)
        assert foreign_view(client, member)["Location"].startswith(CHOOSE)
        assert user_of(client) is None
        assert not live(first)
        choose(client, others[0].session_id)
        assert user_of(client) == member.pk

    def test_written_by_hand(self, client, member, others):
        """What signs in past Django's ``login()`` waits too."""
        assert client.get(f"/by-hand/{member.pk}/")["Location"].startswith(CHOOSE)
        assert user_of(client) is None
        choose(client, others[0].session_id)
        assert user_of(client) == member.pk

    def test_a_view_that_failed_leaves_nothing(self, client, member, others):
        """An error after ``login()``: no login waits."""
        client.raise_request_exception = False
        client.get(f"/enter-and-fail/{member.pk}/")
        assert client.get(CHOOSE)["Location"].startswith("/login/")

    def test_a_script_is_refused(self, member, others):
        """What saves a session without a browser gets the limit as an exception."""
        with pytest.raises(SessionLimitReached) as refused:
            Client().force_login(member)
        assert refused.value.asks
        assert len(live(member)) == 2

    @pytest.mark.urls("tests.edges.test_limit_ask")
    def test_a_site_without_the_page_refuses(self, client, member, others):
        """As under reject: 403, and the visitor goes on as before."""
        response = client.get(f"/enter/{member.pk}/", **JSON)
        assert response.status_code == 403
        assert response.json()["error"] == "session_limit_reached"
        assert "choose" not in response.json()
        assert user_of(client) is None

    def test_a_closed_page_leads_back_to_the_choice(self, waiting):
        """Who wanders off is asked again, not for the password."""
        response = waiting.get("/private/?a=b")
        assert response["Location"] == f"{CHOOSE}?next=/private/%3Fa%3Db"
        answer = waiting.get("/private/", **JSON)
        assert (answer.status_code, answer.json()["url"]) == (409, CHOOSE)

    def test_it_is_no_login_that_waits_for_a_code(self, waiting):
        """The page for the code finds nothing to finish, and leads back."""
        assert waiting.get(VERIFY)["Location"].startswith(CHOOSE)
        answer = waiting.post(
            VERIFY, {"code": "123456"}, content_type="application/json"
        )
        assert answer.json()["error"] == "nothing_pending"

    def test_it_counts_for_no_limit(self, waiting, member, others):
        """However many wait, who is in stays in."""
        for _ in range(3):
            foreign_view(Client(), member)
        assert live(member) == {browser.session_id for browser in others}

    def test_a_session_of_ones_own_is_no_second_one(self, member, others):
        """Signing in again in a signed-in browser asks nothing."""
        others[0].get(f"/enter/{member.pk}/")
        assert user_of(others[0]) == member.pk

    def test_rules_of_one_user(self, client, member, others, settings):
        """RULES_FOR may ask some, and refuse the rest."""
        hour = timedelta(hours=1)
        settings.SECURE_SESSIONS = {
            "RULES_FOR": lambda who: Rules(hour, hour, 2, LimitStrategy.ASK),
            "LIMIT_STRATEGY": "reject",
        }
        answer = client.get(f"/enter/{member.pk}/", **JSON)
        assert (answer.status_code, answer.json()["limit"]) == (409, 2)


class TestEnd:
    """When a login that waits is over."""

    def assert_over(self, browser, *ids):
        assert browser.get(CHOOSE)["Location"] == "/login/"
        choose(browser, *ids)
        assert user_of(browser) is None

    def test_after_ten_minutes(self, waiting, others, clock):
        """As long as one that waits for its second factor."""
        clock.shift(599)
        assert waiting.get(CHOOSE).status_code == 200
        clock.shift(1)
        self.assert_over(waiting, others[0].session_id)

    def test_with_the_password(self, waiting, member, others):
        """Another password: start again."""
        member.set_password("another")
        member.save()
        self.assert_over(waiting)

    def test_with_the_user(self, waiting, member, others):
        """Deactivated: no way in."""
        get_user_model().objects.filter(pk=member.pk).update(is_active=False)
        self.assert_over(waiting, others[0].session_id)

    @pytest.mark.parametrize(
        "reason", [EndReason.REVOKED, EndReason.MFA_RESET, EndReason.MFA_CHANGED]
    )
    def test_with_a_revocation(self, waiting, member, reason, clock):
        """Who ends the user's sessions shuts out who has only to choose yet."""
        clock.shift(1)
        lifecycle.end_all(member, reason=reason)
        self.assert_over(waiting)

    def test_not_with_an_earlier_revocation(self, client, member, sign_in, clock):
        """What was ended before the login began is another story."""
        sign_in(member)
        lifecycle.end_all(member)
        clock.shift(1)
        first, _second = sign_in(member), sign_in(member)
        foreign_view(client, member)
        choose(client, first.session_id)
        assert user_of(client) == member.pk

    def test_with_a_new_factor(self, waiting, member, others):
        """A second factor that was set up meanwhile has not been shown."""
        give_totp(member)
        self.assert_over(waiting, others[0].session_id)

    def test_with_the_next_login(self, waiting, member, others):
        """Somebody else who signs in finishes nothing of it."""
        other = UserFactory()
        foreign_view(waiting, other)
        choose(waiting, others[0].session_id)
        assert user_of(waiting) == other.pk
        assert len(live(member)) == 2

    def test_not_with_a_logout_elsewhere(self, waiting, member, others):
        """Room that came by itself is room: nothing has to be chosen."""
        others[0].post("/logout/")
        assert "There is room now" in waiting.get(CHOOSE).content.decode()
        choose(waiting)
        assert user_of(waiting) == member.pk


class TestPage:
    def test_it_shows_what_to_choose_from(self, waiting, others):
        """Device and address of each, in labelled boxes; no script, no style."""
        response = waiting.get(CHOOSE)
        page = response.content.decode()
        assert "You are signed in on 2 devices" in page
        for text in ("Firefox", "Chrome", "203.0.113.7"):
            assert text in page
        boxes = re.findall(
            r'<label><input type="checkbox" name="end" value="(.+?)"', page
        )
        assert set(boxes) == {str(browser.session_id) for browser in others}
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page)
        assert "no-store" in response["Cache-Control"]
        assert response["X-Frame-Options"] == "DENY"

    def test_the_address_is_as_private_as_elsewhere(self, client, member, settings):
        """What was not stored can't be shown."""
        settings.SECURE_SESSIONS |= {"IP_PRIVACY": "off"}
        for browser in (Client(), Client(), client):
            foreign_view(browser, member)
        page = client.get(CHOOSE).content.decode()
        assert "not recorded" in page
        assert "127.0.0.1" not in page

    def test_next_leads_back(self, client, member, others):
        """After the choice one is where one wanted to be, on this site."""
        response = client.post(
            "/admin/login/?next=/admin/",
            {"username": member.username, "password": PASSWORD, "next": "/admin/"},
        )
        assert response["Location"] == f"{CHOOSE}?next=/admin/"
        page = client.get(response["Location"]).content.decode()
        assert '<input type="hidden" name="next" value="/admin/">' in page
        done = choose(client, others[0].session_id, next="/admin/")
        assert done["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200

    @pytest.mark.parametrize("url", ["//evil.example", "https://evil.example/"])
    def test_next_never_leads_away(self, waiting, others, url):
        """Another site's address counts for nothing."""
        assert "evil" not in waiting.get(CHOOSE, {"next": url}).content.decode()
        assert choose(waiting, others[0].session_id, next=url)["Location"] == "/"

    def test_nothing_chosen(self, waiting, others):
        """The page comes again, and says what is missing."""
        response = choose(waiting)
        assert response.status_code == 409
        assert "Choose at least 1 device" in response.content.decode()
        assert user_of(waiting) is None

    def test_too_few_chosen(self, waiting, member, others, settings):
        """None ends unless the login goes through; what was ticked stays so."""
        settings.SECURE_SESSIONS |= {"MAX_SESSIONS": 1}
        response = choose(waiting, others[0].session_id)
        page = response.content.decode()
        assert "Choose at least 2 devices" in page
        assert len(re.findall(r"<input [^>]*checked", page)) == 1
        assert len(live(member)) == 2

        choose(waiting, *(browser.session_id for browser in others))
        assert live(member) == {waiting.session.public_id}

    def test_taken_meanwhile(self, waiting, member, others):
        """Who chose what another login has ended already is asked again."""
        rival = Client()
        foreign_view(rival, member)
        choose(rival, others[0].session_id)

        response = choose(waiting, others[0].session_id)

        assert response.status_code == 409
        assert user_of(waiting) is None
        assert str(rival.session.public_id) in response.content.decode()
        choose(waiting, rival.session.public_id)
        assert user_of(waiting) == member.pk
        assert user_of(rival) is None

    @pytest.mark.parametrize("given", ["", "no id", "'; DROP TABLE"])
    def test_malformed(self, waiting, given):
        """400 and the page once more."""
        response = waiting.post(CHOOSE, {"end": given})
        assert response.status_code == 400
        assert 'role="alert"' in response.content.decode()

    def test_nobody_waits(self, client):
        """Others are sent to sign in."""
        assert client.get(CHOOSE)["Location"] == "/login/"
        assert choose(client)["Location"] == "/login/"

    def test_signed_in_meanwhile(self, others):
        """Who is in already has nothing to choose."""
        assert others[0].get(CHOOSE)["Location"] == "/"

    def test_a_form_token_is_needed(self, member, others):
        """Another site ends no session with the visitor's cookie."""
        browser = Client(enforce_csrf_checks=True)
        foreign_view(browser, member)
        assert choose(browser, others[0].session_id).status_code == 403
        assert len(live(member)) == 2


class TestJSON:
    def test_a_login_is_told_what_to_choose_from(self, client, member, others):
        """409 with the sessions, how many have to end, and where to say which."""
        response = client.post(
            "/api/login/",
            {"username": member.username, "password": PASSWORD},
            content_type="application/json",
        )
        found = response.json()
        assert response.status_code == 409
        assert found["error"] == "session_limit_reached"
        assert (found["limit"], found["end_at_least"]) == (2, 1)
        assert found["url"] == CHOOSE
        assert {session["id"] for session in found["choose"]} == {
            str(browser.session_id) for browser in others
        }
        assert {session["device"] for session in found["choose"]} == {
            "Firefox",
            "Chrome",
        }
        assert user_of(client) is None

    def test_the_choice_can_be_asked_for(self, waiting, others):
        """GET lists the same."""
        found = waiting.get(CHOOSE, **JSON).json()
        assert (found["end_at_least"], len(found["choose"])) == (1, 2)

    def test_success(self, waiting, member, others):
        """200, the level, and where to go."""
        response = send(waiting, others[0].session_id, next="/basket/")
        assert response.status_code == 200
        assert response.json() == {"authenticated": True, "aal": 1, "next": "/basket/"}
        assert user_of(waiting) == member.pk

    def test_too_few(self, waiting, others):
        """409 again, with what there is to choose from."""
        response = send(waiting)
        assert response.status_code == 409
        assert len(response.json()["choose"]) == 2

    @pytest.mark.parametrize(
        "given",
        ["x", 1, None, {"a": 1}, [1], [None], ["x"], [["x"]], [str(uuid.uuid4())]],
    )
    def test_malformed(self, waiting, member, given):
        """400, and nothing ends."""
        response = waiting.post(CHOOSE, {"end": given}, content_type="application/json")
        assert response.status_code == 400
        assert response.json()["error"] == "malformed_choice"
        assert len(live(member)) == 2

    @pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff", b"[" * 9999])
    def test_no_json(self, waiting, body):
        """The same for bodies of another shape."""
        response = waiting.generic("POST", CHOOSE, body, "application/json")
        assert response.status_code == 400

    def test_sessions_of_others_are_out_of_reach(self, waiting, member, others):
        """400 as for an id that is none, and neither theirs nor one's own ends."""
        stranger = UserFactory()
        foreign_view(Client(), stranger)
        (theirs,) = live(stranger)
        response = send(waiting, others[0].session_id, theirs)
        assert response.status_code == 400
        assert response.json()["error"] == "malformed_choice"
        assert live(stranger) == {theirs}
        assert len(live(member)) == 2

    def test_nothing_waits(self, client):
        """400 for who has not shown a password."""
        response = send(client, uuid.uuid4())
        assert response.status_code == 400
        assert response.json()["error"] == "nothing_pending"

    def test_shut_out(self, waiting, member, clock):
        """A closed page no longer speaks of a choice to who was shut out."""
        clock.shift(1)
        lifecycle.end_all(member)
        answer = waiting.get("/private/", **JSON)
        assert (answer.status_code, answer.json()["error"]) == (
            401,
            "authentication_required",
        )


class TestHistory:
    def test_who_ended_what(self, waiting, member, others):
        """The login waited; its user ended the chosen one, from here."""
        choose(waiting, others[0].session_id)
        assert kinds(member)[-3:] == ["limit_asked", "login", "evicted"]
        event = SessionEvent.objects.get(kind="evicted")
        assert event.actor == member.username
        assert event.session_id == others[0].session_id
        assert event.ip_address == "127.0.0.1"
        assert event.detail["session_client"]["ip_address"] == "203.0.113.7"

    def test_it_is_told_once(self, waiting, member):
        """Choosing too few is no news."""
        choose(waiting)
        assert kinds(member).count("limit_asked") == 1

    def test_the_evicted_browser_is_told(self, waiting, others):
        """As any that had to leave."""
        choose(waiting, others[0].session_id)
        answer = others[0].get("/private/", **JSON).json()
        assert (answer["error"], answer["reason"]) == ("session_ended", "evicted")


class TestSecondFactor:
    @pytest.fixture
    def member(self):
        person = UserFactory()
        person.secret = give_totp(person)
        return person

    @pytest.fixture
    def half(self, client, member, others):
        """Return a browser that has the code yet to show."""
        own_login_page(client, member)
        return client

    @pytest.fixture
    def others(self, member):
        browsers = [Client(), Client()]
        for offset, browser in enumerate(browsers):
            foreign_view(browser, member)
            browser.post(VERIFY, {"code": self.code(member, offset - 1)})
            browser.session_id = browser.session.public_id
            assert user_of(browser) == member.pk
        return browsers

    def code(self, member, offset=1):
        return code_at(member.secret, timezone.now(), offset)

    def test_the_code_comes_first(self, half, others):
        """Who has not shown it is shown no sessions and ends none."""
        assert half.get(CHOOSE)["Location"].startswith(VERIFY)
        assert send(half, others[0].session_id).json()["error"] == "nothing_pending"
        answer = half.get("/private/", **JSON).json()
        assert answer["error"] == "mfa_required"
        assert "choose" not in answer

    def test_code_and_choice(self, half, member, others):
        """Then the choice lets in, at level 2; the code is not asked for again."""
        shown = half.post(VERIFY, {"code": self.code(member), "next": "/basket/"})
        assert shown["Location"] == f"{CHOOSE}?next=/basket/"
        assert user_of(half) is None

        choose(half, others[0].session_id)

        assert user_of(half) == member.pk
        assert (half.session.aal, half.session.amr) == (2, ("pwd", "otp"))

    def test_in_json(self, half, member, others):
        """The code is answered by 409, the choice by 200."""
        shown = half.post(
            VERIFY, {"code": self.code(member)}, content_type="application/json"
        )
        assert shown.status_code == 409
        assert len(shown.json()["choose"]) == 2
        assert send(half, others[0].session_id).json()["aal"] == 2

    def test_the_code_is_spent(self, half, member, others):
        """It opens no second wait."""
        code = self.code(member)
        half.post(VERIFY, {"code": code})
        again = Client()
        foreign_view(again, member)
        response = again.post(VERIFY, {"code": code}, content_type="application/json")
        assert response.json()["error"] == "code_rejected"

    def test_the_code_gives_a_new_key(self, half, member, others):
        """Who knew the key of before the code has no choice by it."""
        thief = Client()
        thief.cookies = half.cookies.__class__(half.cookies.output(header="", sep=";"))
        assert key_of(thief) == key_of(half)
        half.post(VERIFY, {"code": self.code(member)})

        assert key_of(thief) != key_of(half)
        assert not thief.get(CHOOSE)["Location"].startswith(CHOOSE)
        choose(thief, others[0].session_id)
        assert user_of(thief) is None

    def test_it_is_announced_with_the_choice(self, half, member, others):
        """``last_login`` waits for it too, after our own login page."""
        member.last_login = None
        member.save()
        half.post(VERIFY, {"code": self.code(member)})
        member.refresh_from_db()
        assert member.last_login is None
        choose(half, others[0].session_id)
        member.refresh_from_db()
        assert member.last_login is not None

    def test_a_trusted_browser(self, half, member, others, settings):
        """Trust is given with the code, and taken from a browser signed out here."""
        settings.SECURE_SESSIONS |= {"MFA_TRUSTED_DEVICE_AGE": timedelta(days=7)}
        now = timezone.now()
        for browser in others:
            devices.trust(
                member,
                session_id=browser.session_id,
                client=browser.session.client,
                now=now,
            )
        half.post(VERIFY, {"code": self.code(member), "trust_device": "1"})
        assert half.cookies[devices.COOKIE].value

        choose(half, others[0].session_id)

        trusted = set(TrustedDevice.objects.values_list("session_id", flat=True))
        assert trusted == {others[1].session_id, half.session.public_id}

    def test_a_trusted_browser_waits_as_one(self, half, member, others, settings):
        """Its session stays at level 1 through the choice."""
        settings.SECURE_SESSIONS |= {"MFA_TRUSTED_DEVICE_AGE": timedelta(days=7)}
        half.post(VERIFY, {"code": self.code(member), "trust_device": "1"})
        choose(half, others[0].session_id)
        half.post("/logout/")
        foreign_view(Client(), member)
        with_room = foreign_view(half, member)
        assert with_room.status_code == 200
        assert half.session.amr == ("pwd", devices.METHOD)

    def test_reset_by_an_administrator(self, half, member, clock):
        """A wait with a factor that is reset is over."""
        half.post(VERIFY, {"code": self.code(member)})
        clock.shift(1)
        lifecycle.end_all(member, reason=EndReason.MFA_RESET)
        choose(half)
        assert user_of(half) is None


@pytest.mark.django_db(transaction=True)
def test_under_asgi(member, others):
    """The asynchronous handler asks, and takes the answer, as the other does."""

    async def visit():
        browser = AsyncClient()
        asked = await browser.get(f"/aenter/{member.pk}/")
        before = (await browser.get("/awho/")).json()
        done = await browser.post(CHOOSE, {"end": [str(others[0].session_id)]})
        return asked, before, done, (await browser.get("/awho/")).json()

    asked, before, done, after = async_to_sync(visit)()
    assert asked["Location"].startswith(CHOOSE)
    assert before == {"user": None}
    assert done.status_code == 302
    assert after == {"user": member.pk}


def test_a_site_that_closes_every_page(client, member, others, settings):
    """Under Django's LoginRequiredMiddleware each step of a login stays open."""
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    give_totp(member)
    client.post("/login/", {"username": member.username, "password": PASSWORD})
    assert client.get(VERIFY).status_code == 200
    assert client.post(f"{VERIFY}challenge/").status_code == 200

    Authenticator.objects.all().delete()
    client.post("/login/", {"username": member.username, "password": PASSWORD})
    assert client.get(CHOOSE).status_code == 200
    assert choose(client, others[0].session_id)["Location"] == "/"


def test_a_new_password_by_mail(client, member, others, clock):
    """With the reset all other sessions end, so there is room for who did it."""
    clock.shift(1)
    password_reset(client, member)
    assert user_of(client) == member.pk
    assert len(live(member)) == 1
