"""Pages that need more than a session: asked, shown, and on with what was begun."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.core import signing
from django.test import AsyncClient, Client, override_settings
from django.utils import timezone

from django_secure_sessions.models import Authenticator, Session, UserSecurity
from django_secure_sessions.testing import login_with_second_factor
from tests.factories import PASSWORD, UserFactory
from tests.mfa import code_at, give_recovery_codes, give_totp, wrong_code

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.mfa_pages")]

CONFIRM = "/account/mfa/confirm/"
VERIFY = "/account/mfa/verify/"
ADD = "/account/mfa/app/add/"
VAULTS = ["/vault/", "/avault/", "/class/vault/", "/class/avault/", "/class/decorated/"]
FRESH = ["/fresh/", "/afresh/", "/class/fresh/"]
JSON = {"headers": {"accept": "application/json"}}


@pytest.fixture
def member(db):
    """Return a user with an authenticator app, as ``member.secret``."""
    person = UserFactory()
    person.secret = give_totp(person)
    return person


@pytest.fixture
def browser(member):
    """Return a browser of the member at level 2, proven just now."""
    browser = Client()
    login_with_second_factor(browser, member)
    return browser


@pytest.fixture
def weak(browser):
    """Return a browser of the member whose session is at level 1."""
    Session.objects.update(aal=1, amr="pwd")
    return browser


@pytest.mark.parametrize("url", VAULTS)
class TestLevel:
    def test_a_second_factor_opens(self, browser, url):
        """Level 2 is what it takes."""
        assert browser.get(url).content == b"vault"

    def test_level_1_is_asked_for_it(self, weak, url):
        """A page leads to the question and knows the way back."""
        assert weak.get(url)["Location"] == f"{CONFIRM}?next={url}"

    def test_json_is_told(self, weak, url):
        """403 that a program can act on."""
        response = weak.get(url, **JSON)
        assert response.status_code == 403
        assert response.json()["error"] == "mfa_required"
        assert response.json()["url"] == CONFIRM

    def test_without_a_factor_one_is_to_be_set_up(self, client, user, url):
        """There is nothing to show yet."""
        client.get(f"/enter/{user.pk}/")
        assert client.get(url)["Location"] == f"{ADD}?next={url}"
        response = client.get(url, **JSON)
        assert response.status_code == 403
        assert response.json()["error"] == "mfa_enrolment_required"

    def test_nobody_is_sent_to_the_login(self, client, db, url):
        """First of all somebody has to be signed in."""
        assert client.get(url)["Location"].startswith("/login/")
        assert client.get(url, **JSON).status_code == 401

    def test_a_half_done_login_is_nobody(self, client, member, url):
        """The password alone is not even level 1."""
        client.get(f"/enter/{member.pk}/")
        assert client.get(url, **JSON).status_code == 401


@pytest.mark.parametrize("url", FRESH)
class TestRecency:
    def test_a_moment_ago_is_recent(self, browser, url):
        """Just proven: no question."""
        assert browser.get(url).content == b"fresh"

    def test_after_the_minutes_one_is_asked(self, browser, url, time_machine):
        """At five minutes the proof is too old."""
        time_machine.move_to(timezone.now() + timedelta(minutes=5))
        assert browser.get(url)["Location"] == f"{CONFIRM}?next={url}"
        response = browser.get(url, **JSON)
        assert response.status_code == 403
        assert response.json()["error"] == "reauthentication_required"

    def test_a_skipped_code_was_not_shown(self, browser, url):
        """A trusted browser's login does not count as a proof."""
        Session.objects.update(aal=1, amr="pwd remembered_device")
        assert browser.get(url, **JSON).status_code == 403


def test_async_views_are_gated_under_asgi(member):
    """The same question through the asynchronous handler."""

    async def visit():
        browser = AsyncClient()
        await browser.get(f"/aenter/{member.pk}/")
        code = code_at(member.secret, timezone.now())
        await browser.post(VERIFY, {"code": code})
        opened = await browser.get("/avault/")
        await Session.objects.aupdate(aal=1)
        return opened.content, (await browser.get("/avault/")).status_code

    assert async_to_sync(visit)() == (b"vault", 302)


class TestConfirm:
    def test_the_interrupted_request_resumes(self, weak, member):
        """Asked, shown, and there is the page that was wanted."""
        asked = weak.get("/vault/")["Location"]
        page = weak.get(asked)
        assert page.status_code == 200
        assert 'value="/vault/"' in page.content.decode()
        code = code_at(member.secret, timezone.now(), 1)

        response = weak.post(asked, {"code": code, "next": "/vault/"}, follow=True)

        assert response.content == b"vault"
        assert weak.session.aal == 2

    def test_a_refused_post_leads_back_to_its_form(self, weak):
        """What was sent is lost, so the page it came from is the way back."""
        response = weak.post(
            "/class/vault/", headers={"referer": "http://testserver/basket/"}
        )
        form = "http%3A//testserver/basket/"
        assert response["Location"] == f"{CONFIRM}?next={form}&unsent=1"
        response = weak.post(
            "/class/vault/", headers={"referer": "https://evil.example/"}
        )
        assert response["Location"] == f"{CONFIRM}?unsent=1"

    def test_a_refused_post_says_that_it_is_lost(self, weak, member):
        """Said before and after a typing error; then the form's page, as a GET."""
        form = "http://testserver/basket/"
        asked = weak.post("/class/vault/", headers={"referer": form})["Location"]
        assert "has not been taken" in weak.get(asked).content.decode()
        again = weak.post(asked, {"code": "1", "next": form})
        assert "has not been taken" in again.content.decode()

        code = code_at(member.secret, timezone.now(), 1)
        response = weak.post(asked, {"code": code, "next": form}, follow=True)

        assert response.redirect_chain == [(form, 302)]
        assert response.status_code == 200
        assert weak.post("/class/vault/").content == b"stored"

    def test_a_refused_get_lost_nothing(self, weak):
        """So nothing of the kind is said."""
        page = weak.get(weak.get("/vault/")["Location"]).content.decode()
        assert "has not been taken" not in page

    def test_a_refused_post_before_the_set_up_says_so_too(self, client, user):
        """Where a factor has to be set up first, the form is not forgotten."""
        client.get(f"/enter/{user.pk}/")
        form = "http://testserver/basket/"
        asked = client.post("/class/vault/", headers={"referer": form})["Location"]
        assert asked.startswith(ADD)
        page = client.get(asked).content.decode()
        assert "has not been taken" in page
        assert f'value="{form}"' in page

    @pytest.mark.parametrize("action", ["rename", "forget"])
    def test_no_address_of_ours_ends_in_a_405(self, browser, member, action):
        """A login sends on to what was refused, as a GET: that is the overview."""
        factor = Authenticator.objects.get()
        path = {
            "rename": f"/account/mfa/{factor.pk}/rename/",
            "forget": f"/account/mfa/devices/{factor.pk}/forget/",
        }[action]
        assert browser.get(path)["Location"] == "/account/mfa/"

    def test_the_key_is_new_and_the_data_kept(self, weak, member):
        """A proof changes the key; the basket stays."""
        weak.get("/put/tea/")
        before = weak.cookies["sessionid"].value
        code = code_at(member.secret, timezone.now(), 1)

        response = weak.post(CONFIRM, {"code": code}, **JSON)

        assert response.json() == {"authenticated": True, "aal": 2, "next": "/"}
        assert weak.cookies["sessionid"].value != before
        assert "basket" not in type(weak.session)(before)
        assert weak.get("/basket/").content == b"tea"

    def test_who_has_no_factor_shows_the_password(self, client, user, time_machine):
        """It renews the proof and stays level 1."""
        client.get(f"/enter/{user.pk}/")
        time_machine.move_to(timezone.now() + timedelta(minutes=6))
        assert client.get("/fresh/", **JSON).status_code == 403
        page = client.get(CONFIRM).content.decode()
        assert 'autocomplete="current-password"' in page

        assert client.post(CONFIRM, {"password": "wrong"}).status_code == 401
        assert client.post(CONFIRM, {"password": PASSWORD}).status_code == 302

        assert client.get("/fresh/").content == b"fresh"
        assert client.session.aal == 1

    @pytest.mark.parametrize("typed", ["", "x" * 5000])
    def test_what_is_no_password_costs_nothing(self, client, user, typed):
        """400, and the budget is untouched."""
        client.get(f"/enter/{user.pk}/")
        assert client.post(CONFIRM, {"password": typed}).status_code == 400
        assert not UserSecurity.objects.filter(failures__gt=0).exists()

    def test_guesses_here_count_for_the_login_too(self, browser, member):
        """One budget: five wrong codes here, and the login is refused."""
        bad = wrong_code(member.secret, timezone.now())
        for _ in range(5):
            assert browser.post(CONFIRM, {"code": bad}, **JSON).status_code == 401
        assert browser.post(CONFIRM, {"code": bad}, **JSON).status_code == 429

        other = Client()
        other.get(f"/enter/{member.pk}/")
        code = code_at(member.secret, timezone.now(), 1)
        assert other.post(VERIFY, {"code": code}, **JSON).status_code == 429

    def test_a_recovery_code_steps_up(self, weak, member):
        """It stands in for the app here as well."""
        codes = give_recovery_codes(member)
        assert weak.post(CONFIRM, {"recovery_code": codes[0]}).status_code == 302
        assert weak.session.aal == 2

    def test_nobody_has_nothing_to_confirm(self, client, db):
        """Who is not signed in goes to the login."""
        assert client.get(CONFIRM)["Location"].startswith("/login/")
        assert client.post(CONFIRM, {"code": "123456"}, **JSON).status_code == 401


class TestTrustedBrowsers:
    """A browser that may skip the code: only if the site says so."""

    @pytest.fixture
    def on(self):
        with override_settings(
            SECURE_SESSIONS={"MFA_TRUSTED_DEVICE_AGE": timedelta(days=14)}
        ):
            yield

    def trusting(self, member, **extra):
        browser = Client()
        browser.get(f"/enter/{member.pk}/")
        code = code_at(member.secret, timezone.now())
        response = browser.post(VERIFY, {"code": code, "trust_device": "1"})
        assert response.status_code == 302
        return browser

    def again(self, browser, member):
        """Sign out, sign in by password; tell whether that was enough."""
        browser.post("/logout/")
        browser.get(f"/enter/{member.pk}/")
        return browser.get("/who/").json()["user"] == member.pk

    def test_it_is_off(self, member):
        """By default nothing is offered, kept or believed."""
        browser = self.trusting(member)
        assert "secure_sessions_device" not in browser.cookies
        assert not self.again(browser, member)

    def test_it_skips_the_code(self, member, on):
        """The next login here takes the password only, and says so."""
        browser = self.trusting(member)
        assert self.again(browser, member)
        assert browser.session.aal == 1
        assert browser.session.amr == ("pwd", "remembered_device")

    def test_it_opens_nothing_that_takes_a_factor(self, member, on):
        """Neither a vault nor the own factors."""
        browser = self.trusting(member)
        self.again(browser, member)
        for url in ("/vault/", "/fresh/", ADD):
            assert browser.get(url, **JSON).status_code == 403

    def test_the_token_is_kept_as_a_digest(self, member, on):
        """The table opens nothing; the cookie is out of reach of scripts."""
        from django_secure_sessions.models import TrustedDevice

        browser = self.trusting(member)
        cookie = browser.cookies["secure_sessions_device"]
        device = TrustedDevice.objects.get()
        assert cookie.value not in (device.token_digest, device.auth_digest)
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"

    def test_it_trusts_for_one_user(self, member, on):
        """Somebody else's cookie is worth nothing."""
        browser = self.trusting(member)
        other = UserFactory()
        other.secret = give_totp(other)
        assert not self.again(browser, other)

    def test_a_password_change_ends_it(self, member, on):
        """Changed by whatever means, also behind the ORM's back."""
        browser = self.trusting(member)
        member.set_password("another")
        type(member).objects.filter(pk=member.pk).update(password=member.password)
        assert not self.again(browser, member)

    @pytest.mark.parametrize("days", [14, 40])
    def test_time_ends_it(self, member, on, time_machine, days):
        """After two weeks the code is asked for again; use does not extend it."""
        browser = self.trusting(member)
        time_machine.move_to(timezone.now() + timedelta(days=days, minutes=1))
        assert not self.again(browser, member)

    def test_a_revocation_ends_it(self, member, on):
        """Whoever ends all sessions distrusts all browsers."""
        from django_secure_sessions import lifecycle

        browser = self.trusting(member)
        lifecycle.end_all(member)
        assert not self.again(browser, member)

    def two_trusting(self, member, time_machine):
        """Return two browsers of a user, both trusted and signed in."""
        first = self.trusting(member)
        time_machine.move_to(timezone.now() + timedelta(minutes=1))
        return first, self.trusting(member)

    def test_ending_one_session_ends_the_trust_of_its_browser(
        self, member, on, time_machine
    ):
        """The browser of that session shows a code again; the other one does not."""
        from django_secure_sessions import lifecycle

        thiefs, own = self.two_trusting(member, time_machine)
        lifecycle.end(thiefs.session.public_id)
        assert not self.again(thiefs, member)
        assert self.again(own, member)

    @pytest.mark.parametrize("before", [[], ["/put/tea/"]], ids=["new", "with a row"])
    def test_a_later_session_is_tied_to_it_too(self, member, on, time_machine, before):
        """Whatever session the trust opened last is the one that counts."""
        from django_secure_sessions import lifecycle

        first, other = self.two_trusting(member, time_machine)
        first.post("/logout/")
        for url in before:
            first.get(url)
        first.get(f"/enter/{member.pk}/")
        assert first.session.amr == ("pwd", "remembered_device")
        lifecycle.end(first.session.public_id)
        assert not self.again(first, member)
        assert self.again(other, member)

    def test_ending_the_others_keeps_the_own(self, member, on, time_machine):
        """Whoever ends all other sessions stays trusted where they are."""
        from django_secure_sessions import lifecycle

        other, own = self.two_trusting(member, time_machine)
        lifecycle.end_others(member, own.session.public_id)
        assert self.again(own, member)
        assert not self.again(other, member)

    def test_ending_all_of_them_by_a_filter_ends_every_trust(
        self, member, on, time_machine
    ):
        """As the admin and the command do; also of a browser signed out meanwhile."""
        from django_secure_sessions import lifecycle

        idle, own = self.two_trusting(member, time_machine)
        idle.post("/logout/")
        lifecycle.end_matching(Session.objects.filter(user=member))
        assert not self.again(idle, member)
        assert not self.again(own, member)

    def test_signing_out_keeps_it(self, member, on):
        """That is what it is for."""
        browser = self.trusting(member)
        assert self.again(browser, member)
        assert self.again(browser, member)

    def test_the_list_points_out_the_own_browser(self, member, on, time_machine):
        """One of two is marked."""
        self.two_trusting(member, time_machine)
        own = self.trusting_again(member, time_machine)
        assert own.get("/account/mfa/").content.decode().count("(this browser)") == 1
        shown = own.get("/account/mfa/", **JSON).json()["trusted_devices"]
        assert sorted(device["is_current"] for device in shown) == [False, False, True]

    def trusting_again(self, member, time_machine):
        time_machine.move_to(timezone.now() + timedelta(minutes=1))
        return self.trusting(member)

    def test_a_change_of_factors_ends_it(self, member, on):
        """A reset takes the trust along."""
        from django_secure_sessions.mfa import changes
        from django_secure_sessions.state import ClientInfo

        browser = self.trusting(member)
        changes.reset(
            member, actor="root", reason="", now=timezone.now(), client=ClientInfo()
        )
        member.secret = give_totp(member)
        assert not self.again(browser, member)

    def test_it_is_listed_and_forgotten_one_by_one(self, member, on):
        """The owner sees it and takes it back; others can't."""
        from django_secure_sessions.models import TrustedDevice

        browser = self.trusting(member)
        device = TrustedDevice.objects.get()
        assert "Trusted browsers" in browser.get("/account/mfa/").content.decode()
        url = f"/account/mfa/devices/{device.pk}/forget/"
        stranger = Client()
        stranger.get(f"/enter/{UserFactory().pk}/")
        assert stranger.post(url).status_code == 404

        assert browser.post(url).status_code == 302

        assert not self.again(browser, member)

    @pytest.mark.parametrize("token", ["", "x", "a" * 43, "\u00e9" * 43])
    def test_a_made_up_token_is_nothing(self, member, on, token):
        """Guesses of any shape are no trust, and no error."""
        browser = Client()
        browser.cookies["secure_sessions_device"] = token
        browser.get(f"/enter/{member.pk}/")
        assert browser.get("/who/").json() == {"user": None}

    @pytest.mark.parametrize("salt", ["", "secure_sessions_device"])
    def test_a_signature_of_the_site_is_no_trust(self, member, on, salt):
        """The token is random and looked up: what Django signs elsewhere is not one."""
        token = self.trusting(member).cookies["secure_sessions_device"].value
        for value in (str(member.pk), member.username, token):
            browser = Client()
            signed = signing.get_cookie_signer(salt=salt).sign(value)
            browser.cookies["secure_sessions_device"] = signed
            browser.get(f"/enter/{member.pk}/")
            assert browser.get("/who/").json() == {"user": None}

    @pytest.mark.parametrize("path", ["sessions", "api/sessions"])
    def test_it_proves_nothing_for_ending_sessions(self, member, on, path):
        """Whoever was let in by trust ends no other session without a proof."""
        browser = self.trusting(member)
        assert self.again(browser, member)
        other = Client()
        login_with_second_factor(other, member)

        browser.post(f"/account/{path}/end-others/", **JSON)

        assert other.get("/who/").json() == {"user": member.pk}


class TestDuty:
    """Who must have a second factor gets nowhere without setting one up."""

    @pytest.fixture
    def clerk(self, db):
        return UserFactory(is_staff=True)

    @pytest.fixture
    def required(self):
        with override_settings(SECURE_SESSIONS={"MFA_REQUIRED_FOR": "staff"}):
            yield

    def open(self, person):
        browser = Client()
        browser.get(f"/enter/{person.pk}/")
        return browser

    @pytest.mark.parametrize("url", ["/who/", "/basket/", "/admin/", "/nowhere/"])
    def test_every_page_leads_to_the_set_up(self, clerk, required, url):
        """Also the ones that need nobody, and those that are not there."""
        browser = self.open(clerk)
        response = browser.get(url)
        assert response["Location"] == f"{ADD}?next={url}"
        response = browser.get(url, **JSON)
        assert response.status_code == 403
        assert response.json()["error"] == "mfa_enrolment_required"

    @pytest.mark.parametrize(
        "url", [ADD, "/account/mfa/", "/account/mfa/key/add/", "/logout/"]
    )
    def test_the_set_up_and_the_way_out_are_open(self, clerk, required, url):
        """No loop: what is asked for can be reached, and one can leave."""
        browser = self.open(clerk)
        send = browser.post if url == "/logout/" else browser.get
        response = send(url)
        assert response.status_code in (200, 302)
        assert ADD not in response.get("Location", "")

    def test_the_question_for_the_password_is_open(self, clerk, required, time_machine):
        """Setting up takes a fresh proof, which can be given."""
        browser = self.open(clerk)
        time_machine.move_to(timezone.now() + timedelta(minutes=16))
        response = browser.get(ADD, follow=True)
        assert response.status_code == 200
        assert response.request["PATH_INFO"] == CONFIRM

    def test_after_the_set_up_all_is_open(self, clerk, required):
        """And the page that was wanted is next."""
        browser = self.open(clerk)
        given = browser.get(ADD, **JSON).json()
        code = code_at(given["secret"], timezone.now())
        page = browser.post(ADD, {"code": code, "next": "/basket/"})
        assert 'href="/basket/"' in page.content.decode()
        assert browser.get("/who/").json() == {"user": clerk.pk}

    def test_others_are_not_bothered(self, user, required):
        """Not staff, no duty."""
        browser = self.open(user)
        assert browser.get("/who/").json() == {"user": user.pk}

    def test_a_level_1_session_of_who_has_a_factor_steps_up(self, clerk, required):
        """It may be from before: then the factor has to be shown."""
        browser = self.open(clerk)
        give_totp(clerk)
        assert browser.get("/who/")["Location"] == f"{CONFIRM}?next=/who/"
        assert browser.get(CONFIRM).status_code == 200

    @pytest.mark.parametrize(
        "rule", ["all", ["editors"], "editors", lambda user: user.username == "vera"]
    )
    def test_the_rule_can_be_anything(self, rule):
        """All, groups, or a function of the site."""
        from django.contrib.auth.models import Group

        vera = UserFactory(username="vera")
        vera.groups.add(Group.objects.create(name="editors"))
        with override_settings(SECURE_SESSIONS={"MFA_REQUIRED_FOR": rule}):
            assert self.open(vera).get("/who/").status_code == 302

    def test_there_may_be_a_grace_period(self, clerk, time_machine):
        """Counted from the first page the user was seen on, then over."""
        rules = {
            "MFA_REQUIRED_FOR": "staff",
            "MFA_GRACE_PERIOD": timedelta(minutes=20),
        }
        with override_settings(SECURE_SESSIONS=rules):
            browser = self.open(clerk)
            start = timezone.now()
            assert browser.get("/who/").json() == {"user": clerk.pk}
            time_machine.move_to(start + timedelta(minutes=19))
            assert browser.get("/who/").json() == {"user": clerk.pk}
            time_machine.move_to(start + timedelta(minutes=21))
            assert browser.get("/who/").status_code == 302

    def test_a_verified_session_costs_no_query(
        self, member, required, django_assert_num_queries
    ):
        """Beside the session and its user, which the page itself asks for."""
        type(member).objects.filter(pk=member.pk).update(is_staff=True)
        browser = Client()
        login_with_second_factor(browser, member)
        with django_assert_num_queries(2):
            assert browser.get("/who/").json() == {"user": member.pk}

    def test_nobody_is_not_held_back(self, client, db, required):
        """Without a session there is no duty, and no query."""
        assert client.get("/who/").json() == {"user": None}

    def test_it_holds_under_asgi(self, clerk, required):
        """The asynchronous handler holds back as well."""

        async def visit():
            browser = AsyncClient()
            await browser.get(f"/aenter/{clerk.pk}/")
            return await browser.get("/awho/")

        response = async_to_sync(visit)()
        assert response["Location"] == f"{ADD}?next=/awho/"


def test_factor_rows_of_the_admin_have_no_secret(member):
    """What the string of a factor says is its name."""
    assert str(Authenticator.objects.get()) == "phone"
