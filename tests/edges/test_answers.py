"""A refusal becomes a page or JSON, with its reason, and public pages stay public."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import Context, Template
from django.test import RequestFactory

from django_secure_sessions import answers, lifecycle
from django_secure_sessions.models import Session
from django_secure_sessions.state import EndReason
from tests.factories import SessionFactory, UserFactory
from tests.visitor import JSON, Visitor

pytestmark = pytest.mark.urls("tests.pages")


def request(path="/", **headers):
    return RequestFactory().get(path, headers=headers)


class TestPreference:
    @pytest.mark.parametrize(
        "accept",
        [
            "application/json",
            "application/vnd.api+json, application/json;q=0.9",
            "Application/JSON",
            "application/problem+json",
        ],
    )
    def test_json(self, accept):
        """Whoever names JSON, and not HTML, is a program."""
        assert answers.prefers_json(request(accept=accept))

    @pytest.mark.parametrize(
        "accept",
        [
            "",
            "*/*",
            "text/html",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html, application/json",
        ],
    )
    def test_page(self, accept):
        """Browsers, and those who say nothing, get pages."""
        assert not answers.prefers_json(request(accept=accept))

    def test_json_body(self):
        """Whoever sends JSON reads JSON."""
        sent = RequestFactory().post("/", {}, content_type="application/json")

        assert answers.prefers_json(sent)

    def test_prefix(self, settings):
        """Paths under API_PREFIXES are for programs, whatever they accept."""
        settings.SECURE_SESSIONS = {"API_PREFIXES": ["/api/"]}

        assert answers.prefers_json(request("/api/x/", accept="text/html"))
        assert not answers.prefers_json(request("/apix/", accept="text/html"))

    @pytest.mark.parametrize(
        "header",
        [
            'text/x;a="' + "," * 100_000,
            ",".join(["application/json;q=0.1"] * 5000),
            "a" * 100_000 + "application/json",
            '"' * 100_000,
        ],
        ids=["quoted", "many", "late", "quotes"],
    )
    def test_hostile_header(self, header):
        """100 kB of Accept are read to a bound: what comes after it is not seen."""
        found = answers.prefers_json(request(accept=header))

        assert found == ("json" in header[: answers.ACCEPT_READ])


def end_as(reason, user):
    lifecycle.end_all(user, reason=reason)


@pytest.mark.django_db
class TestEnded:
    @pytest.fixture
    def browser(self, user, clock):
        browser = Visitor()
        browser.enter(user)
        return browser

    @pytest.mark.parametrize("reason", [*answers.ENDED_TEXTS])
    def test_json(self, browser, user, reason):
        """A refused program learns what kind of end, which one, and what to say."""
        end_as(EndReason(reason), user)
        response = browser.get("/private/", **JSON)
        expired = reason in ("idle", "absolute", "expired")

        assert response.status_code == 401
        assert response.json() == {
            "error": "session_expired" if expired else "session_ended",
            "reason": reason,
            "detail": answers.ended_text(reason),
        }

    @pytest.mark.parametrize("reason", [*answers.ENDED_TEXTS])
    def test_page(self, browser, user, reason):
        """A refused person goes to the login, with the reason and the way back."""
        end_as(EndReason(reason), user)
        response = browser.get("/private/?a=b")

        assert response.status_code == 302
        assert (
            response["Location"]
            == f"/login/?next=/private/%3Fa%3Db&session_ended={reason}"
        )

    @pytest.mark.parametrize("path", ["/guarded/", "/admin/", "/status/403/"])
    def test_other_refusals_too(self, browser, user, path):
        """Whoever refuses, Django, the admin or a view: the reason is added."""
        end_as(EndReason.REVOKED, user)

        assert "session_ended=revoked" in browser.get(path)["Location"]

    def test_refusal_becomes_json(self, browser, user):
        """A redirect to the login is a 401 for a program."""
        end_as(EndReason.REVOKED, user)
        response = browser.get("/guarded/", **JSON)

        assert response.status_code == 401
        assert response.json()["reason"] == "revoked"

    @pytest.mark.parametrize(
        "background", [JSON, {"sec_fetch_mode": "cors"}], ids=["json", "fetch"]
    )
    def test_a_script_does_not_take_the_reason(self, browser, user, background):
        """A poll of a page is refused with the reason, and so is the next click."""
        lifecycle.end_all(user)
        for _ in range(2):
            assert browser.get("/private/", **background).status_code in (401, 302)

        assert "session_ended=revoked" in browser.get("/private/")["Location"]
        assert browser.key is None

    def test_nothing_is_told_to_who_is_signed_in(self, browser):
        """A made-up link puts no words on the page of somebody who is there."""
        shown = Template("{% load secure_sessions %}{% session_ended_message %}")
        asked = request("/?session_ended=revoked")
        asked.session = {}
        asked.user = UserFactory.build()
        assert shown.render(Context({"request": asked})) == ""
        asked.user = AnonymousUser()
        assert shown.render(Context({"request": asked})) != ""

    def test_told_once(self, browser, user):
        """With the explanation the cookie goes; later refusals are ordinary ones."""
        end_as(EndReason.REVOKED, user)
        browser.get("/private/")

        assert browser.key is None
        assert "session_ended" not in browser.get("/private/")["Location"]

    @pytest.mark.parametrize("path", ["/", "/show/", "/status/200/", "/status/404/"])
    def test_public_pages_stay_public(self, browser, user, path):
        """A page that refuses nobody is served, and the reason kept for later."""
        end_as(EndReason.EVICTED, user)
        served = browser.get(path)

        assert served.status_code == (404 if "404" in path else 200)
        assert "evicted" in browser.get("/private/")["Location"]

    def test_logout_needs_no_explanation(self, browser, user):
        """Nobody is told that they signed out themselves."""
        key = browser.key
        browser.get("/leave/")
        browser.key = key
        response = browser.get("/private/")

        assert response["Location"] == "/login/?next=/private/"
        assert browser.key is None

    def test_idle_and_absolute(self, browser, user, clock):
        """What time ended is told as what it was."""
        clock.shift(30 * 60)
        assert browser.get("/private/", **JSON).json()["reason"] == "idle"
        browser.enter(user)
        for _ in range(12 * 3):
            clock.shift(20 * 60)
            last = browser.get("/private/", **JSON)

        assert last.json()["reason"] == "absolute"

    def test_ends_during_the_request(self, browser):
        """A save that finds the session ended is answered, never a bare 400."""
        response = browser.get("/end-and-put/", **JSON)

        assert response.status_code == 401
        assert response.json()["reason"] == "revoked"
        assert "session_ended=revoked" in browser.get("/private/")["Location"]
        assert browser.key is None

    def test_the_log_names_the_session(self, browser, caplog):
        """The line carries the public id, which the audit trail knows, and no key."""
        session_id, key = Session.objects.get(ended_at=None).pk, browser.key
        caplog.set_level("INFO", "django_secure_sessions")
        browser.get("/end-and-put/")

        said = f"Session {session_id} ended while its request ran: revoked"
        assert said in caplog.messages
        assert key not in caplog.text

    def test_own_refusal_of_a_page_stands(self, browser, user):
        """A page that failed by itself stays what it was; the next one explains."""
        response = browser.get("/end-put-and-miss/")

        assert response.status_code == 404
        assert "revoked" in browser.get("/private/")["Location"]


class TestBodies:
    def test_detail_is_translated_late(self):
        """Texts are lazy: they follow the language of the request."""
        body = json.loads(answers.refusal(401, "x", answers._ENDED).content)

        assert body["detail"] == "Your session has ended. Please sign in again."

    def test_unknown_reason_has_a_text(self):
        """A reason of a later version still says something to a person."""
        assert answers.ended_text("of the future")

    @pytest.mark.parametrize("reason", EndReason)
    def test_no_reason_is_mute(self, reason):
        """Every reason has a sentence, of its own where the user did not ask."""
        own = answers.ended_text(reason) != answers.ended_text("")

        assert own or reason.is_voluntary or reason is EndReason.USER_DELETED

    def test_limit(self, settings):
        """A refused login says how many are allowed and when to try again."""
        response = answers.limit_reached(request(**JSON), 3, None)

        assert response.status_code == 403
        assert json.loads(response.content)["limit"] == 3
        assert "Retry-After" not in response

    @pytest.mark.parametrize("headers", [{}, JSON])
    def test_outage(self, headers):
        """An outage is a 503 that nobody caches and everybody may retry."""
        response = answers.unavailable(request(**headers))

        assert response.status_code == 503
        assert response["Retry-After"] == "5"
        assert "no-store" in response["Cache-Control"]


class TestRedirects:
    def test_login_url_with_a_query(self, settings):
        """A LOGIN_URL that has a query keeps it."""
        settings.LOGIN_URL = "/login/?theme=dark"

        assert answers.to_login(request("/x/"))["Location"] == (
            "/login/?theme=dark&next=/x/"
        )

    def test_next_is_always_local(self):
        """The way back is a path of this site, whatever the host header says."""
        asked = RequestFactory().get("/x", HTTP_HOST="evil.example")
        asked.path = "//evil.example/x"
        location = answers.to_login(asked)["Location"]

        assert location == "/login/?next=/%252Fevil.example/x"

    @pytest.mark.parametrize(
        ("referer", "back"),
        [
            ("http://testserver/form/", "http%3A//testserver/form/"),
            ("https://evil.example/form/", "/send/"),
            ("", "/send/"),
        ],
    )
    def test_refused_post_leads_back_to_its_form(self, referer, back):
        """What was sent is lost: one comes back to where it can be sent again."""
        asked = RequestFactory().post("/send/", headers={"referer": referer})
        assert answers.to_login(asked)["Location"] == f"/login/?next={back}"


class TestRefusedPage:
    """A refusal is not a dead end."""

    def test_wrong_role_leads_back(self, client, user):
        """Who is signed in gets on to the start page and the own sessions."""
        client.force_login(user)

        page = client.get("/desk/").content.decode()

        assert 'href="/"' in page
        assert 'href="/account/sessions/"' in page

    def test_limit_leads_to_the_login(self, client, user, settings):
        """Who found no room can try again."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1, "LIMIT_STRATEGY": "reject"}
        SessionFactory(user=user)

        response = client.get(f"/enter/{user.pk}/")

        assert response.status_code == 403
        assert 'href="/login/"' in response.content.decode()
