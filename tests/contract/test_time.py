"""Idle and absolute limits, held on the server, and what counts as activity."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.presets import PRESETS
from tests.contract.test_login import live_ids, reasons
from tests.contract.test_resurrection import lives, opened
from tests.visitor import JSON

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def browser(visitor, user, clock):
    browser = visitor()
    browser.enter(user)
    return browser


class TestIdle:
    def test_until_just_before(self, browser, user, clock):
        """A moment before the limit the session is good."""
        clock.shift(30 * MINUTE - timedelta(microseconds=1))

        assert browser.user == user.pk

    def test_at_the_limit(self, browser, user, clock):
        """At the limit it is over, the row says so, and it stays over."""
        clock.shift(30 * MINUTE)

        assert browser.user is None
        assert reasons(user) == ["idle"]
        assert bytes(Session.objects.get().data) == b""
        clock.shift(-15 * MINUTE)
        assert browser.user is None

    def test_holds_without_middleware(self, store, user, clock):
        """The store refuses it too: no view and no cookie has a say in it."""
        session = opened(store, user)
        clock.shift(30 * MINUTE)

        assert not lives(store, session.session_key)

    def test_activity_extends(self, browser, user, clock):
        """Requests keep it alive for as long as they come."""
        for _ in range(10):
            clock.shift(20 * MINUTE)
            assert browser.user == user.pk

    def test_public_pages_count_if_they_look(self, browser, user, clock):
        """A page that never looks at the session is no activity: it costs nothing."""
        clock.shift(20 * MINUTE)
        browser.get("/")
        clock.shift(20 * MINUTE)

        assert browser.user is None


class TestAbsolute:
    def test_activity_does_not_extend(self, browser, user, clock):
        """After twelve hours it is over, however busy the user was."""
        for _ in range(12 * 3 - 1):
            clock.shift(20 * MINUTE)
            assert browser.user == user.pk
        clock.shift(20 * MINUTE - timedelta(microseconds=1))
        assert browser.user == user.pk
        clock.shift(timedelta(microseconds=1))

        assert browser.user is None
        assert reasons(user) == ["absolute"]

    def test_rotation_does_not_extend(self, store, user, clock):
        """A fresh key is no fresh start."""
        session = opened(store, user)
        for _ in range(12 * 4):
            clock.shift(15 * MINUTE)
            last = store(session.session_key)
            if last.public_id:
                last.cycle_key()
                session = last

        assert last.public_id is None

    def test_second_login_extends(self, browser, user, clock):
        """Proving oneself again starts both clocks anew."""
        for _ in range(35):
            clock.shift(20 * MINUTE)
            browser.get("/show/")
        browser.enter(user)
        for _ in range(10):
            clock.shift(20 * MINUTE)
            assert browser.user == user.pk


class TestPassive:
    @pytest.mark.parametrize("way", ["decorator", "header", "name"])
    def test_polling_does_not_extend(self, browser, user, clock, settings, way):
        """Polls are checked and answered, and end with the idle limit."""
        path = "/poll/" if way == "decorator" else "/show/"
        headers = {"x_passive_request": "1"} if way == "header" else {}
        if way == "name":
            settings.SECURE_SESSIONS = {"PASSIVE_VIEWS": ["home", "poll"]}
            path = "/poll/"
        for _ in range(29):
            clock.shift(MINUTE)
            assert str(user.pk) in browser.get(path, **headers).content.decode()
        clock.shift(MINUTE)
        browser.get(path, **headers)

        assert browser.user is None
        assert reasons(user) == ["idle"]

    def test_passive_save_keeps_the_clock(self, browser, user, clock):
        """Even a poll that writes data does not count as activity."""
        clock.shift(20 * MINUTE)
        browser.get("/put/seen/yes/", x_passive_request="1")
        assert Session.objects.get().version
        clock.shift(20 * MINUTE)

        assert browser.user is None

    def test_header_can_be_off(self, browser, user, clock, settings):
        """PASSIVE_HEADER = "" lets no client choose."""
        settings.SECURE_SESSIONS = {"PASSIVE_HEADER": ""}
        clock.shift(20 * MINUTE)
        browser.get("/show/", x_passive_request="1")
        clock.shift(20 * MINUTE)

        assert browser.user == user.pk


class TestTouch:
    def test_once_an_interval(self, browser, clock):
        """Activity is written after the interval, and not before."""
        start = Session.objects.get().last_activity
        clock.shift(59)
        browser.get("/show/")
        assert Session.objects.get().last_activity == start
        clock.shift(1)
        browser.get("/show/")

        assert Session.objects.get().last_activity == start + MINUTE

    def test_slow_request_moves_nothing_back(self, store, user, clock):
        """A request that began earlier and ends later leaves the newer time."""
        session = opened(store, user)
        clock.shift(10 * MINUTE)
        slow = store(session.session_key)
        slow.items()
        clock.shift(MINUTE)
        quick = store(session.session_key)
        quick.items()
        assert quick.touch() is True
        newest = Session.objects.get().last_activity

        assert slow.touch() is False
        assert Session.objects.get().last_activity == newest

    def test_address_follows(self, browser, clock, settings):
        """A touch brings the address and the browser up to date."""
        settings.SECURE_SESSIONS = {"TRUSTED_PROXIES": 1}
        clock.shift(2 * MINUTE)
        browser.get("/show/", user_agent="Newer", x_forwarded_for="203.0.113.7")
        row = Session.objects.get()

        assert (row.ip_address, row.user_agent) == ("203.0.113.7", "Newer")


class TestAnonymous:
    def test_djangos_rules(self, visitor, clock, settings):
        """A visitor's session lives for SESSION_COOKIE_AGE, whatever our limits."""
        settings.SESSION_COOKIE_AGE = 3600 * 24
        browser = visitor()
        browser.get("/put/cart/full/")
        clock.shift(timedelta(hours=23))
        assert browser.data == {"cart": "full"}
        clock.shift(timedelta(hours=1))

        assert browser.data == {}

    def test_site_may_set_the_life(self, visitor, clock):
        """set_expiry() holds for them as it does in Django."""
        browser = visitor()
        browser.get("/put/cart/full/")
        browser.get("/expire-in/120/")
        clock.shift(119)
        assert browser.data == {"cart": "full"}
        clock.shift(2)

        assert browser.data == {}


class TestClockJumps:
    def test_back(self, browser, user, clock):
        """A clock set back an hour signs nobody out and gives nobody longer."""
        clock.shift(-60 * MINUTE)
        assert browser.user == user.pk
        clock.shift(60 * MINUTE)
        assert browser.user == user.pk
        for _ in range(12 * 3):
            clock.shift(20 * MINUTE)
            browser.get("/show/")

        assert live_ids(user) == set()

    def test_ahead(self, browser, user, clock):
        """A clock an hour ahead ends what was idle by it."""
        clock.shift(60 * MINUTE)

        assert browser.user is None
        assert reasons(user) == ["idle"]


@pytest.mark.parametrize("name", PRESETS)
def test_preset(store, user, clock, settings, name):
    """A preset's numbers are the ones that end a session."""
    settings.SECURE_SESSIONS = {"PRESET": name}
    rules = PRESETS[name]
    first = min(limit for limit in (rules.idle, rules.absolute) if limit)
    session = opened(store, user)
    # Within what the cookie allows: SESSION_COOKIE_AGE is two weeks.
    first = min(first, timedelta(days=14))
    clock.shift(first - timedelta(microseconds=1))
    assert lives(store, session.session_key)
    clock.shift(timedelta(microseconds=1))

    assert not lives(store, session.session_key)


class TestBinding:
    def ask(self, browser, clock, **headers):
        clock.shift(2 * MINUTE)
        return browser.get("/show/", **headers).json()["user"]

    @pytest.mark.parametrize("mode", ["off", "log", "end"])
    def test_another_browser(self, visitor, user, clock, settings, mode):
        """A session that turns up elsewhere is left, noted or ended, as chosen."""
        settings.SECURE_SESSIONS = {"BINDING": mode}
        browser = visitor()
        firefox = (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        )
        browser.get(f"/enter/{user.pk}/", user_agent=firefox)
        found = self.ask(browser, clock, user_agent="curl/8.0")
        noted = SessionEvent.objects.filter(kind="client_changed").count()

        assert found == (None if mode == "end" else user.pk)
        assert noted == (mode == "log")
        assert reasons(user) == (["binding"] if mode == "end" else [])

    def test_reason_is_told(self, visitor, user, settings):
        """Whoever is signed out by it is told what changed."""
        settings.SECURE_SESSIONS = {"BINDING": "end", "TRUSTED_PROXIES": 1}
        browser = visitor()
        browser.get(f"/enter/{user.pk}/", x_forwarded_for="198.51.100.1")
        answer = browser.get("/private/", x_forwarded_for="203.0.113.7", **JSON)

        assert answer.json()["reason"] == "binding"
