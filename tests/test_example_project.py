"""The example site works as the documentation says, seen from outside."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import time
from collections import defaultdict

import pyotp
import pytest
from django.conf import settings

from tests.example_site import Browser, borrowed_database, manage, running_site
from tests.run import MARIADB, POSTGRESQL

PASSWORD = "low-tide-at-nine"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
PUBLIC = ("/", "/read/the-harbour-clock/", "/shelf/", "/preferences/", "/login/")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Serve the demo for all tests of this module."""
    with running_site(tmp_path_factory.mktemp("example")) as site:
        yield site


@pytest.fixture
def visitor(site):
    """Open a browser without a cookie."""
    return Browser(site)


@pytest.fixture
def leila(site):
    """Open a browser in which a reader is signed in."""
    browser = Browser(site, FIREFOX)
    browser.sign_in("leila", PASSWORD)
    return browser


@pytest.fixture
def ingrid(site):
    """Open a browser in which the administrator is signed in."""
    browser = Browser(site)
    browser.sign_in("ingrid", PASSWORD)
    return browser


def rows(database, table):
    """Count the rows of one of the package's tables."""
    with sqlite3.connect(database) as connection:
        query = f"SELECT count(*) FROM django_secure_sessions_{table}"  # noqa: S608
        (count,) = connection.execute(query).fetchone()
    connection.close()
    return count


def actors(database):
    """Return who caused the events of each kind."""
    query = "SELECT kind, actor FROM django_secure_sessions_sessionevent"
    found = defaultdict(set)
    with sqlite3.connect(database) as connection:
        for kind, actor in connection.execute(query):
            found[kind].add(actor)
    connection.close()
    return found


def change_password(browser, new):
    """Fill in the form for a new password."""
    return browser.submit(
        "/profile/password/",
        old_password=PASSWORD,
        new_password1=new,
        new_password2=new,
    )


class TestDemoCommand:
    """``manage.py demo`` leaves nothing to guess."""

    def test_it_says_where_to_look_and_who_can_sign_in(self, site):
        """The greeting holds the address, every login and the password."""
        assert f"{site.address}/" in site.greeting
        for username in ("ingrid", "tomas", "amara", "jun", "leila"):
            assert re.search(rf"^\s+{username}\s+{PASSWORD}", site.greeting, re.M)

    def test_a_second_run_adds_nothing(self, tmp_path):
        """Seeding an already seeded database creates no session and no event."""
        database = tmp_path / "example.sqlite3"
        first = manage("demo", "--no-serve", directory=tmp_path)
        assert first.returncode == 0, first.stderr
        seeded = rows(database, "session"), rows(database, "sessionevent")

        second = manage("demo", "--no-serve", directory=tmp_path)

        assert second.returncode == 0, second.stderr
        assert min(seeded) > 10
        assert (rows(database, "session"), rows(database, "sessionevent")) == seeded

    @pytest.mark.parametrize("service", [POSTGRESQL, MARIADB], ids=lambda s: s.name)
    def test_it_fills_the_databases_of_real_sites(self, tmp_path, service):
        """DATABASE_URL takes the demo to a server; a second run adds nothing there."""
        with borrowed_database(service) as url:
            runs = [
                manage("demo", "--no-serve", directory=tmp_path, DATABASE_URL=url)
                for _ in range(2)
            ]
            listed = manage(
                "list_sessions", "--json", directory=tmp_path, DATABASE_URL=url
            )

        assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
        assert len(json.loads(listed.stdout)) >= 5
        said = [run.stdout.splitlines()[0] for run in runs]
        assert said[0].startswith("Added 5 people and ")
        assert said[1].startswith("Nothing to add")

    def test_invented_sign_outs_look_like_real_ones(self, tmp_path):
        """Who signs out or is idle is ended by nobody else: no actor is on record."""
        manage("demo", "--no-serve", directory=tmp_path)

        found = actors(tmp_path / "example.sqlite3")
        assert found["logout"] == found["idle"] == found["absolute"] == {""}
        assert found["evicted"] == {"system"}
        assert found["revoked"] == {"tomas"}

    def test_a_taken_port_has_a_way_out(self, tmp_path):
        """The error says how to take another port."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = str(other.getsockname()[1])
            done = manage("demo", directory=tmp_path, PORT=port)

        assert done.returncode == 1
        assert f"Port {port} is taken" in done.stderr
        assert "PORT=8001" in done.stderr

    def test_it_counts_in_english(self, tmp_path):
        """One session is not "1 sessions"."""
        manage("demo", "--no-serve", directory=tmp_path)
        ended = manage("revoke_sessions", "--user", "ingrid", directory=tmp_path)
        assert "Sessions ended: 1" in ended.stdout

        again = manage("demo", "--no-serve", directory=tmp_path)

        assert again.stdout.startswith("Added 0 people and 1 session.")

    def test_it_stops_at_ctrl_c_without_a_complaint(self, tmp_path):
        """An interrupt ends the server with status 0 and no traceback."""
        with running_site(tmp_path) as site:
            status = site.interrupt()

        assert status == 0
        assert "Traceback" not in (tmp_path / "server.log").read_text()

    def test_it_refuses_to_publish_passwords_on_a_real_site(self, tmp_path):
        """With DEBUG off the demo makes no accounts."""
        done = manage(
            "demo", "--no-serve", directory=tmp_path, DEBUG="0", SECRET_KEY="s" * 60
        )

        assert done.returncode == 1
        assert "DEBUG on only" in done.stderr


class TestSettings:
    """The settings are those of a site one may copy."""

    def test_a_real_site_needs_its_own_secret_key(self, tmp_path):
        """Without DEBUG the published key is refused."""
        done = manage("check", directory=tmp_path, DEBUG="0")

        assert done.returncode != 0
        assert "Set SECRET_KEY" in done.stderr

    def test_a_real_site_passes_the_deployment_checks(self, tmp_path):
        """With DEBUG off no check of Django's or ours has anything to say."""
        done = manage(
            "check",
            "--deploy",
            "--fail-level=WARNING",
            directory=tmp_path,
            DEBUG="0",
            SECRET_KEY="5up3r-l0ng-and-random-enough-for-the-check-of-a-key-0123",
        )

        assert done.returncode == 0, done.stderr


class TestPages:
    """What a visitor and a reader see."""

    @pytest.mark.parametrize("path", PUBLIC)
    def test_a_public_page_needs_no_session_and_makes_none(self, visitor, path):
        """A visitor gets the page, a strict policy and no session cookie."""
        page = visitor.get(path)

        assert page.status == 200
        assert page.path == path
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert "sessionid" not in visitor.cookies

    @pytest.mark.parametrize(
        "path", [*PUBLIC, "/profile/", "/profile/password/", "/account/sessions/"]
    )
    def test_no_page_needs_an_exception_from_the_policy(self, leila, path):
        """No page holds an inline script, an inline style or an event handler."""
        page = leila.get(path)

        assert page.status == 200
        assert not re.search(
            r"<script(?![^>]*\bsrc=)|<style|\s(style|on\w+)=", page.text
        )

    def test_the_stylesheet_is_served(self, visitor):
        """The one stylesheet is where the pages say it is."""
        link = re.search(r'rel="stylesheet" href="([^"]+)"', visitor.get("/").text)

        assert link is not None
        assert "color-scheme" in visitor.get(link[1]).text

    def test_an_unknown_address_is_not_found(self, visitor):
        """Neither a page nor an article is invented."""
        assert visitor.get("/nowhere/").status == 404
        assert visitor.get("/read/nothing/").status == 404

    def test_the_profile_asks_to_sign_in_and_comes_back(self, visitor):
        """A denied visitor lands on the page first asked for."""
        asked = visitor.get("/profile/")
        assert asked.path.startswith("/login/?next=/profile/")

        page = visitor.submit(asked.path, username="leila", password=PASSWORD)

        assert page.path == "/profile/"
        assert "Leila Haddad" in page.text

    @pytest.mark.parametrize("path", ["/profile/", "/account/sessions/"])
    def test_times_are_written_one_way(self, leila, path):
        """Our pages and the package's: day first, 24 hours, and the zone."""
        page = leila.get(path)

        times = re.findall(r"<time[^>]*>([^<]*)", page.text)
        assert len(times) >= 4
        for shown in times:
            assert re.fullmatch(r"\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d UTC", shown)

    def test_signing_out_on_the_sessions_page_is_confirmed(self, leila):
        """The sign-in page that follows says what happened."""
        page = leila.get("/account/sessions/")
        end = re.search(r'action="(/account/sessions/[^"]+/end/)"', page.text)
        assert end is not None

        page = leila.submit("/account/sessions/", to=end[1])

        assert page.path.startswith("/login/")
        assert "You are signed out." in page.text

    def test_the_profile_shows_the_facts_of_the_session(self, leila):
        """Device, address and assurance level are there for the owner to see."""
        page = leila.get("/profile/")

        for fact in ("Firefox on Linux", "127.0.0.1", "AAL 1, password", "Last active"):
            assert fact in page.text

    def test_the_profile_shows_no_secret(self, leila):
        """The value of the session cookie appears on no page of its owner."""
        key = leila.cookies["sessionid"].value

        assert key not in leila.get("/profile/").text
        assert key not in leila.get("/api/profile").text

    def test_a_wrong_password_is_an_error_on_the_form(self, visitor):
        """Nobody is signed in, and the form says so."""
        page = visitor.sign_in("leila", "high-tide-at-ten")

        assert page.path == "/login/"
        assert 'role="alert"' in page.text
        assert visitor.get("/api/profile").status == 401

    def test_signing_out_ends_the_session_on_the_server(self, leila):
        """The cookie of before is worth nothing after."""
        key = leila.cookies["sessionid"].value
        leila.submit("/profile/", to="/logout/")

        assert leila.get("/api/profile", Cookie=f"sessionid={key}").status == 401

    def test_a_public_page_says_that_the_session_ended(self, site):
        """A page that is open to all stays open, and tells why it greets nobody."""
        old, new = Browser(site), Browser(site)
        old.sign_in("leila", PASSWORD)
        for _ in range(3):
            new.sign_in("leila", PASSWORD)
            new.cookies.clear()

        page = old.get("/shelf/")

        assert page.status == 200
        assert 'role="alert"' in page.text
        assert "Sign in" in page.text

    def test_a_new_password_signs_the_other_browsers_out(self, site):
        """The browser that changed it stays, another is told why it must sign in."""
        here, there = Browser(site), Browser(site, FIREFOX)
        here.sign_in("jun", PASSWORD)
        there.sign_in("jun", PASSWORD)

        changed = change_password(here, "spring-tide-at-ten")

        assert changed.path == "/profile/"
        assert here.get("/api/profile").status == 200
        denied = there.get("/profile/")
        assert denied.path.startswith("/login/")
        assert "session_ended=password_changed" in denied.path
        assert 'role="alert"' in denied.text


class TestSessionData:
    """A session remembers, for a visitor as for a reader."""

    def test_a_theme_is_kept_through_the_sign_in(self, visitor):
        """What a visitor chose is still chosen after the key was rotated."""
        visitor.submit("/preferences/", theme="dark", text_size="large")
        before = visitor.cookies["sessionid"].value
        visitor.sign_in("leila", PASSWORD)

        page = visitor.get("/")

        assert visitor.cookies["sessionid"].value != before
        assert 'data-theme="dark" data-text="large"' in page.text

    def test_the_shelf_takes_and_returns_a_piece(self, visitor):
        """The same button puts a piece on the shelf and takes it off."""
        shelve = "/read/salt-in-the-bread/shelve/"
        assert "Salt in the bread" in visitor.submit("/", to=shelve).text
        assert "1 piece," in visitor.get("/shelf/").text

        visitor.submit("/", to=shelve)

        assert "Nothing here yet" in visitor.get("/shelf/").text

    def test_the_way_back_stays_on_the_site(self, visitor):
        """A ``next`` that leads elsewhere is ignored."""
        page = visitor.submit(
            "/", to="/read/salt-in-the-bread/shelve/", next="https://example.org/"
        )

        assert page.path == "/shelf/"


class TestApi:
    """JSON for programs, with statuses and codes they can act on."""

    def test_nobody_is_told_to_sign_in(self, visitor):
        """Without a session the answer is 401 and a code, not a redirect."""
        page = visitor.get("/api/profile")

        assert page.status == 401
        assert page.json()["error"] == "authentication_required"

    def test_a_reader_gets_the_session_they_are_in(self, leila):
        """The profile names the user and the facts of this very session."""
        page = leila.get("/api/profile")
        found = page.json()

        assert page.status == 200
        assert found["user"] == {"username": "leila", "role": "user"}
        assert found["session"]["ip_address"] == "127.0.0.1"
        assert found["session"]["device"] == "Firefox on Linux"
        assert found["session"]["aal"] == 1
        assert found["session"]["id"] in leila.get("/profile/").text

    def test_a_reader_may_not_see_the_statistics(self, leila):
        """The wrong role is 403 and a code."""
        page = leila.get("/api/admin/stats")

        assert page.status == 403
        assert page.json()["error"] == "permission_denied"

    def test_an_admin_sees_the_statistics(self, ingrid):
        """The counts cover what the demo seeded."""
        page = ingrid.get("/api/admin/stats")
        found = page.json()

        assert page.status == 200
        assert found["live_sessions"] >= found["users_online"] >= 5
        assert found["last_24_hours"]["ended"]["revoked"] >= 1
        assert found["last_24_hours"]["failed_logins"] >= 3


class TestLimit:
    """Three sessions at a time, as the settings say."""

    def test_the_oldest_sessions_make_room_and_are_told_why(self, site):
        """Of five browsers three stay; the others hear why, as page and as JSON."""
        browsers = [Browser(site) for _ in range(5)]
        for browser in browsers:
            browser.sign_in("tomas", PASSWORD)

        answer = browsers[0].get("/api/profile")
        page = browsers[1].get("/profile/")

        assert answer.status == 401
        assert answer.json()["error"] == "session_ended"
        assert answer.json()["reason"] == "evicted"
        assert "session_ended=evicted" in page.path
        assert 'role="alert"' in page.text
        statuses = [browser.get("/api/profile").status for browser in browsers[2:]]
        assert statuses == [200, 200, 200]


def test_with_ask_a_reader_chooses_what_ends(tmp_path):
    """The fourth sign-in shows the other three, and ends the one that is ticked."""
    with running_site(tmp_path, LIMIT_STRATEGY="ask") as site:
        first = Browser(site, FIREFOX)
        first.sign_in("leila", PASSWORD)
        for _ in range(3):
            newest = Browser(site)
            page = newest.sign_in("leila", PASSWORD)
            if "choose" in page.path:
                break
        session_id = first.get("/api/profile").json()["session"]["id"]
        assert "You are signed in on 3 devices" in page.text
        assert newest.get("/api/profile").status == 409

        page = newest.submit(page.path, end=session_id)

        assert page.path == "/profile/"
        assert first.get("/api/profile").json()["reason"] == "evicted"


class TestAccount:
    """The package's own pages, in the frame of the site."""

    def test_a_reader_ends_a_session_on_another_device(self, site):
        """The list names both devices; the one that was ended is told why."""
        here, there = Browser(site), Browser(site, FIREFOX)
        for browser in (here, there):
            browser.sign_in("leila", PASSWORD)
        session_id = there.get("/api/profile").json()["session"]["id"]

        page = here.submit(
            "/account/sessions/", to=f"/account/sessions/{session_id}/end/"
        )

        assert page.path == "/account/sessions/"
        assert "Tidemark" in page.text
        assert session_id not in page.text
        assert there.get("/api/profile").json()["reason"] == "revoked"
        assert here.get("/api/profile").status == 200

    def test_a_second_factor_stands_between_the_password_and_the_profile(self, site):
        """With an app enrolled, the password alone signs nobody in."""
        amara, add = Browser(site), "/account/mfa/app/add/"
        amara.sign_in("amara", PASSWORD)
        secret = re.search(r'class="secret">([A-Z2-7 ]+)<', amara.get(add).text)
        assert secret is not None
        app = pyotp.TOTP(secret[1].replace(" ", ""))
        codes = amara.submit(add, code=app.now(), name="Phone")
        assert "recovery codes" in codes.text

        stranger = Browser(site)
        asked = stranger.sign_in("amara", PASSWORD)
        assert asked.path.startswith("/account/mfa/verify/")
        assert stranger.get("/api/profile").status == 401
        # A code works once, and the enrolment took this one.
        following = app.at(time.time() + app.interval)
        page = stranger.submit(asked.path, code=following)

        assert page.path == "/profile/"
        assert "AAL 2, with a second factor" in page.text


class TestSupport:
    """An agent who may see and revoke sessions, and nothing else."""

    SESSIONS = "/admin/django_secure_sessions/session/"

    @pytest.fixture
    def tomas(self, site):
        """Open a browser in which the support agent is signed in."""
        browser = Browser(site)
        browser.sign_in("tomas", PASSWORD)
        return browser

    def test_an_agent_sees_sessions_but_no_accounts(self, tomas):
        """The admin opens the one list and keeps the others shut."""
        assert tomas.get(self.SESSIONS).status == 200
        assert tomas.get("/admin/auth/user/").status == 403

    def test_an_agent_revokes_the_session_of_a_reader(self, tomas, leila):
        """After the confirmation the reader's next request is refused, with reason."""
        session_id = leila.get("/api/profile").json()["session"]["id"]
        form = {"action": "revoke_selected", "_selected_action": session_id}

        asked = tomas.submit(self.SESSIONS, **form)
        assert "Are you sure?" in asked.text
        assert leila.get("/api/profile").status == 200
        done = tomas.submit(self.SESSIONS, **form, confirmed="yes")

        assert "1 session was revoked." in done.text
        assert leila.get("/api/profile").json()["reason"] == "revoked"

    def test_an_agent_reads_at_the_admins_login_why_it_is_there(self, visitor):
        """The admin's own login page has words for a session that ended."""
        page = visitor.get("/admin/login/?session_ended=idle")

        assert "because you were inactive" in page.text

    def test_a_reader_gets_no_admin(self, leila):
        """Who is no staff is sent to sign in as somebody who is."""
        assert leila.get(self.SESSIONS).path.startswith("/admin/login/")


@pytest.mark.redis
def test_with_redis_an_end_reaches_the_other_browser_at_once(tmp_path):
    """Sessions cached in Redis end with the password, before their copies expire."""
    with running_site(tmp_path, REDIS_URL=settings.REDIS_URL) as site:
        here, there = Browser(site), Browser(site)
        for browser in (here, there):
            browser.sign_in("leila", PASSWORD)
            assert browser.get("/api/profile").status == 200

        change_password(here, "spring-tide-at-ten")

        assert here.get("/api/profile").status == 200
        assert there.get("/api/profile").json()["reason"] == "password_changed"
