"""A person's own factors: set up, named, removed, recovered; never by a thief."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import unquote

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client, override_settings
from django.utils import timezone

from django_secure_sessions.mfa import factors, recovery
from django_secure_sessions.models import (
    Authenticator,
    RecoveryCode,
    Session,
    SessionEvent,
    TrustedDevice,
)
from tests.factories import UserFactory
from tests.mfa import code_at, give_recovery_codes, give_totp, wrong_code

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.mfa_pages")]

MFA = "/account/mfa/"
ADD = f"{MFA}app/add/"
VERIFY = f"{MFA}verify/"
CONFIRM = f"{MFA}confirm/"
RECOVERY = f"{MFA}recovery/"
JSON = {"headers": {"accept": "application/json"}}


@pytest.fixture
def browser(client, user):
    """Return a browser in which the user has just signed in by password."""
    client.get(f"/enter/{user.pk}/")
    return client


@pytest.fixture
def member(db):
    """Return a user with an authenticator app, as ``member.secret``."""
    person = UserFactory()
    person.secret = give_totp(person)
    return person


@pytest.fixture
def proven(member):
    """Return a browser in which the member has shown the second factor."""
    browser = Client()
    browser.get(f"/enter/{member.pk}/")
    assert browser.post(VERIFY, {"code": right(member)}).status_code == 302
    return browser


@pytest.fixture
def stolen(member):
    """Return a browser with the member's session at level 1, as from before."""
    factors = list(Authenticator.objects.filter(user=member))
    Authenticator.objects.filter(user=member).delete()
    browser = Client()
    browser.get(f"/enter/{member.pk}/")
    Authenticator.objects.bulk_create(factors)
    assert browser.session.aal == 1
    return browser


def right(member, offset=0):
    return code_at(member.secret, timezone.now(), offset)


def secret_on(page):
    """Return the secret that a page shows as text."""
    found = re.search(r'<code class="secret">([^<]+)</code>', page.content.decode())
    return found.group(1).replace(" ", "")


def enrol(browser, name="phone", **extra):
    """Set up an app with the secret that the page shows."""
    secret = secret_on(browser.get(ADD))
    code = code_at(secret, timezone.now())
    return secret, browser.post(ADD, {"code": code, "name": name, **extra})


def kinds(user):
    return set(SessionEvent.objects.filter(user=user).values_list("kind", flat=True))


class TestEnrolment:
    def test_the_page_shows_the_secret_twice(self, browser):
        """As a picture in the page itself, and as text for who can't scan."""
        page = browser.get(ADD).content.decode()
        assert re.search(r"<svg[^>]*>.*</svg>", page, re.DOTALL)
        assert "<img" not in page
        assert len(secret_on(browser.get(ADD))) == 32

    def test_a_code_makes_it_a_factor(self, browser, user):
        """Confirmed, named, and the session is at level 2 from then on."""
        before = browser.cookies["sessionid"].value
        _, response = enrol(browser)

        factor = Authenticator.objects.get(type="totp")
        assert (factor.user, factor.name) == (user, "phone")
        assert factor.confirmed_at is not None
        assert browser.session.aal == 2
        assert browser.session.amr == ("pwd", "otp")
        assert SESSION_KEY not in type(browser.session)(before)
        assert "mfa_enrolled" in kinds(user)
        assert response.status_code == 200

    def test_the_secret_is_shown_no_more(self, browser):
        """After the confirmation no page gives it out; a new one is another."""
        secret, response = enrol(browser)
        pages = [response, browser.get(ADD), browser.get(MFA), browser.get(RECOVERY)]
        for page in pages:
            assert secret not in page.content.decode().replace(" ", "")

    def test_a_wrong_code_makes_nothing(self, browser):
        """The same secret again, with an alert, and no factor."""
        secret = secret_on(browser.get(ADD))
        page = browser.post(ADD, {"code": wrong_code(secret, timezone.now())})
        assert page.status_code == 400
        assert 'role="alert"' in page.content.decode()
        assert secret_on(page) == secret
        assert not Authenticator.objects.exists()

    def test_it_logs_in_from_then_on(self, browser, user):
        """The next login is half done until a code of this app, and a new one."""
        secret, _ = enrol(browser)
        used = code_at(secret, timezone.now())
        other = Client()
        other.get(f"/enter/{user.pk}/")
        assert other.post(VERIFY, {"code": used}).status_code == 401
        fresh = code_at(secret, timezone.now(), 1)
        assert other.post(VERIFY, {"code": fresh}).status_code == 302

    def test_other_sessions_end(self, browser, user):
        """Whoever was in the account before has not shown the factor."""
        other = Client()
        other.get(f"/enter/{user.pk}/")
        enrol(browser)

        assert other.get("/who/").json() == {"user": None}
        assert Session.objects.get(end_reason="mfa_changed").user == user
        assert browser.get("/who/").json() == {"user": user.pk}

    @override_settings(SECURE_SESSIONS={"MFA_ON_CHANGE": "keep"})
    def test_a_site_can_keep_other_sessions(self, browser, user):
        """They stay, at level 1."""
        other = Client()
        other.get(f"/enter/{user.pk}/")
        enrol(browser)
        assert other.get("/who/").json() == {"user": user.pk}

    def test_it_takes_a_recent_login(self, browser, user, time_machine):
        """A browser found open can't be made to trust the finder's app."""
        time_machine.move_to(timezone.now() + timedelta(minutes=16))
        response = browser.get(ADD)
        assert response["Location"] == f"{CONFIRM}?next={ADD}"
        response = browser.get(ADD, **JSON)
        assert response.status_code == 403
        assert response.json()["error"] == "reauthentication_required"

    def test_a_second_app_is_possible(self, proven, member):
        """Each has a name; both open."""
        enrol(proven, name="tablet")
        names = Authenticator.objects.filter(user=member, type="totp")
        assert set(names.values_list("name", flat=True)) == {"phone", "tablet"}

    def test_a_json_client_can_do_it_all(self, browser, user):
        """Secret, confirmation and recovery codes as data."""
        given = browser.get(ADD, **JSON).json()
        assert given["uri"].startswith("otpauth://totp/")
        code = code_at(given["secret"], timezone.now())
        response = browser.post(
            ADD, {"code": code, "name": "cli"}, content_type="application/json"
        )
        assert len(response.json()["recovery_codes"]) == 10
        overview = browser.get(MFA, **JSON).json()
        assert [factor["name"] for factor in overview["authenticators"]] == ["cli"]
        assert given["secret"] not in str(overview)

    @pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a" * 300, "a\nb"])
    def test_a_name_is_only_a_name(self, browser, name):
        """Escaped, one line, at most 64 characters."""
        enrol(browser, name=name)
        factor = Authenticator.objects.get(type="totp")
        assert len(factor.name) <= 64
        assert "\n" not in factor.name
        assert "<script>alert" not in browser.get(MFA).content.decode()

    @override_settings(SECURE_SESSIONS={"RECENT_AUTH": timedelta(hours=1)})
    def test_a_secret_waits_a_quarter_of_an_hour(self, browser, time_machine):
        """A page forgotten open confirms nothing any more."""
        start, secret = timezone.now(), secret_on(browser.get(ADD))
        time_machine.move_to(start + timedelta(minutes=14))
        assert secret_on(browser.get(ADD)) == secret
        time_machine.move_to(start + timedelta(minutes=16))
        code = code_at(secret, timezone.now())
        assert browser.post(ADD, {"code": code}).status_code == 400
        assert secret_on(browser.get(ADD)) != secret


class TestThieves:
    """A session, or a password, without the second factor."""

    PAGES = [ADD, f"{MFA}key/add/", RECOVERY]

    @pytest.mark.parametrize("url", PAGES)
    def test_level_1_changes_nothing(self, stolen, member, url):
        """A session from before, at level 1, is asked for the factor."""
        for response in (stolen.get(url, **JSON), stolen.post(url, {}, **JSON)):
            assert response.status_code == 403
            assert response.json()["error"] == "mfa_required"
            assert member.secret not in response.content.decode()

    @pytest.mark.parametrize("url", PAGES)
    def test_a_half_done_login_changes_nothing(self, client, member, url):
        """Between password and code no page of these opens."""
        client.get(f"/enter/{member.pk}/")
        for response in (client.get(url, **JSON), client.post(url, {}, **JSON)):
            assert response.status_code == 401
            assert member.secret not in response.content.decode()

    @pytest.mark.parametrize("action", ["rename", "remove"])
    def test_level_1_touches_no_factor(self, stolen, member, action):
        """Neither renamed nor removed; the secret is the one it was."""
        before = Authenticator.objects.get(user=member)
        url = f"{MFA}{before.pk}/{action}/"
        response = stolen.post(url, {"name": "mine"}, **JSON)
        assert response.status_code == 403
        after = Authenticator.objects.get(user=member)
        assert (after.name, bytes(after.secret)) == (before.name, bytes(before.secret))

    def test_the_password_lifts_no_one_over_the_factor(self, stolen, member):
        """The step-up of who has a factor takes no password."""
        from tests.factories import PASSWORD

        response = stolen.post(CONFIRM, {"password": PASSWORD}, **JSON)
        assert response.status_code == 401
        assert stolen.session.aal == 1

    def test_a_stale_level_2_is_not_enough(self, proven, member, time_machine):
        """Removing a factor takes a proof of the last minutes."""
        time_machine.move_to(timezone.now() + timedelta(minutes=16))
        factor = Authenticator.objects.get(user=member)
        response = proven.post(f"{MFA}{factor.pk}/remove/", {}, **JSON)
        assert response.status_code == 403
        assert response.json()["error"] == "reauthentication_required"

    @pytest.mark.parametrize("action", ["rename", "remove"])
    def test_nobody_touches_the_factor_of_another(self, browser, member, action):
        """An id of somebody else is not found."""
        factor = Authenticator.objects.get(user=member)
        response = browser.post(f"{MFA}{factor.pk}/{action}/", {"name": "mine"})
        assert response.status_code == 404
        assert Authenticator.objects.get(user=member).name == "phone"

    @pytest.mark.parametrize("url", [ADD, RECOVERY, CONFIRM, VERIFY])
    def test_other_sites_send_no_forms(self, user, url):
        """Each POST needs the form token."""
        browser = Client(enforce_csrf_checks=True)
        browser.get(f"/enter/{user.pk}/")
        assert browser.post(url, {"code": "123456"}).status_code == 403


class TestChanges:
    def test_rename(self, proven, member):
        """A new name, and a line in the history."""
        factor = Authenticator.objects.get(user=member)
        proven.post(f"{MFA}{factor.pk}/rename/", {"name": "old phone"})
        factor.refresh_from_db()
        assert factor.name == "old phone"
        assert "mfa_renamed" in kinds(member)

    def test_removing_the_last_takes_what_stands_in_for_it(self, proven, member):
        """Recovery codes and trusted browsers go with it."""
        give_recovery_codes(member)
        factor = Authenticator.objects.get(user=member, type="totp")
        page = proven.get(f"{MFA}{factor.pk}/remove/").content.decode()
        assert "last one" in page

        proven.post(f"{MFA}{factor.pk}/remove/")

        assert not Authenticator.objects.exists()
        assert not RecoveryCode.objects.exists()
        assert not TrustedDevice.objects.exists()
        assert "mfa_removed" in kinds(member)

    def test_removing_one_of_two_keeps_the_codes(self, proven, member):
        """The other factor is still there to recover from."""
        give_recovery_codes(member)
        give_totp(member)
        factor = Authenticator.objects.filter(user=member, type="totp").first()
        proven.post(f"{MFA}{factor.pk}/remove/")
        assert Authenticator.objects.filter(type="totp").count() == 1
        assert recovery.remaining(member.pk) == 10

    def test_removal_ends_other_sessions(self, proven, member):
        """As every change of factors does."""
        other = Client()
        other.get(f"/enter/{member.pk}/")
        other.post(VERIFY, {"code": right(member, 1)})
        assert other.get("/who/").json() == {"user": member.pk}
        factor = Authenticator.objects.get(user=member)

        proven.post(f"{MFA}{factor.pk}/remove/")

        assert other.get("/who/").json() == {"user": None}


class TestRecovery:
    def test_the_first_factor_brings_ten_codes(self, browser, user):
        """Shown on the page that follows, as a list and as a download."""
        _, page = enrol(browser)
        text = page.content.decode()
        codes = re.findall(r"<li><code>([A-Z2-7-]{23})</code></li>", text)
        assert len(codes) == 10
        link = re.search(r'href="data:text/plain[^"]*"[^>]*download=', text).group()
        assert all(code in unquote(link) for code in codes)
        recovery.consume(user.pk, codes[0], timezone.now())

    def test_they_are_shown_once(self, browser):
        """No later page has them."""
        _, page = enrol(browser)
        codes = re.findall(r"<code>([A-Z2-7-]{23})</code>", page.content.decode())
        for url in (MFA, RECOVERY, ADD):
            later = browser.get(url).content.decode()
            assert not any(code in later for code in codes)

    def test_the_page_is_kept_by_no_cache(self, browser):
        """Neither a proxy nor the back button brings it again."""
        _, page = enrol(browser)
        assert "no-store" in page["Cache-Control"]

    def test_the_overview_counts_them(self, proven, member):
        """How many are left is shown."""
        codes = give_recovery_codes(member)
        recovery.consume(member.pk, codes[0], timezone.now())
        assert "9 recovery codes are left" in proven.get(MFA).content.decode()

    def test_new_codes_replace_the_old(self, proven, member):
        """After asking; the history tells."""
        old = give_recovery_codes(member)
        assert proven.get(RECOVERY).status_code == 200
        assert recovery.remaining(member.pk) == 10

        page = proven.post(RECOVERY).content.decode()

        fresh = re.findall(r"<code>([A-Z2-7-]{23})</code>", page)
        assert len(fresh) == 10
        assert not set(fresh) & set(old)
        assert "recovery_regenerated" in kinds(member)

    def test_no_codes_without_a_factor(self, browser):
        """They stand in for one; alone they would only weaken the password."""
        assert browser.post(RECOVERY)["Location"] == MFA
        assert not RecoveryCode.objects.exists()


class TestAbsentPackages:
    """The extras are optional: what is not installed is not offered."""

    @pytest.fixture(autouse=True)
    def _absent(self, monkeypatch):
        monkeypatch.setattr(
            factors, "LIBRARIES", dict.fromkeys(factors.LIBRARIES, ("no_such_package",))
        )

    def test_overview_offers_nothing(self, browser):
        """No button leads to a page that can't work."""
        page = browser.get(MFA)

        assert page.status_code == 200
        assert ADD not in page.content.decode()
        assert f"{MFA}key/add/" not in page.content.decode()

    @pytest.mark.parametrize("page", ["app/add/", "key/add/", "key/add/challenge/"])
    def test_pages_are_not_there(self, browser, page):
        """Who knows the address finds nothing, instead of an error of the server."""
        assert browser.get(MFA + page).status_code == 404
        assert browser.post(MFA + page).status_code == 404
