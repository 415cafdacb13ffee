"""Sessions of the engine that a site had before move when their cookies come."""

from __future__ import annotations

import sys
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.cache import caches
from django.db import DatabaseError, connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_secure_sessions import crypto, lifecycle
from django_secure_sessions.backends import previous
from django_secure_sessions.models import Session, SessionEvent
from tests.dumps import cache_dump, database_dump
from tests.factories import PASSWORD, UserFactory
from tests.mfa import NOON, code_at, give_totp
from tests.visitor import JSON

pytestmark = pytest.mark.django_db(transaction=True)

DJANGOS = "django.contrib.sessions.backends"
NAME = django_settings.SESSION_COOKIE_NAME
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    *(path for path in django_settings.MIDDLEWARE if "secure_sessions" not in path),
]
UNKNOWN = "a" * 32


def before_the_switch(user=None, engine=f"{DJANGOS}.db"):
    """Return the cookie of a browser from the time under an engine of Django's."""
    with override_settings(
        SESSION_ENGINE=engine,
        MIDDLEWARE=MIDDLEWARE,
        ROOT_URLCONF="tests.pages",
    ):
        client = Client()
        client.get("/put/cart/full/")
        if user is not None:
            client.post("/login/", {"username": user.username, "password": PASSWORD})
        return client.cookies[NAME].value


def old_session(key, engine=f"{DJANGOS}.db"):
    return import_module(engine).SessionStore(key)


@pytest.fixture(autouse=True)
def _switched(settings, engine, tmp_path):
    settings.SECURE_SESSIONS = {"PREVIOUS_ENGINE": f"{DJANGOS}.db"}
    settings.SESSION_FILE_PATH = str(tmp_path)


@pytest.fixture
def returning(visitor):
    """Return what makes a browser that comes back with an old cookie."""

    def make(key):
        browser = visitor()
        browser.key = key
        return browser

    return make


@pytest.fixture(params=["db", "file", "cache", "cached_db"])
def previous_engine(request, settings, monkeypatch):
    """Return an engine of Django's; those with a cache have one of their own."""
    name = f"{DJANGOS}.{request.param}"
    if "cache" in request.param:
        base, name = import_module(name).SessionStore, "engine_of_before"

        def init(self, session_key=None):
            base.__init__(self, session_key)
            self._cache = caches["default"]

        derived = type("SessionStore", (base,), {"__init__": init})
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(SessionStore=derived))
    settings.SECURE_SESSIONS = {"PREVIOUS_ENGINE": name}
    return name


class TestMove:
    def test_user_stays_signed_in(self, returning, user, previous_engine):
        """Whoever was signed in is so after the switch, under a new key, with all."""
        old = before_the_switch(user, previous_engine)
        browser = returning(old)

        assert (browser.user, browser.data) == (user.pk, {"cart": "full"})
        assert crypto.resolve(browser.key)
        assert Session.objects.get().user == user
        assert not {**old_session(old, previous_engine)}.get("cart")

    def test_visitor_keeps_the_data(self, returning):
        """A cart of nobody moves as well."""
        browser = returning(before_the_switch())

        assert (browser.user, browser.data) == (None, {"cart": "full"})
        assert crypto.resolve(browser.key)
        assert Session.objects.get().user is None

    def test_clocks_and_client_are_of_this_request(self, returning, user, clock):
        """The timeouts begin now, and what the old engine did not know is unknown."""
        old = before_the_switch(user)
        clock.shift(timedelta(days=10))
        returning(old).get("/show/", user_agent="Browser", x_forwarded_for="192.0.2.1")
        row = Session.objects.get()

        now = timezone.now()
        assert row.created_at == row.authenticated_at == row.last_activity == now
        assert (row.ip_address, row.user_agent) == ("127.0.0.1", "Browser")
        assert (row.aal, row.amr) == (1, "")

    def test_it_is_on_record(self, returning, user):
        """The history has a login, once."""
        browser = returning(before_the_switch(user))
        browser.get("/show/")
        browser.get("/show/")

        event = SessionEvent.objects.get(kind="login", user=user)
        assert event.session_id == Session.objects.get().pk

    def test_it_is_no_new_device(self, returning, user):
        """Nobody is warned of a browser that was signed in all along."""
        for agent in ("Firefox/140.0", "Chrome/140.0"):
            browser = returning(before_the_switch(user))
            browser.get("/show/", user_agent=f"Mozilla/5.0 (X11; Linux) {agent}")

        moves = SessionEvent.objects.filter(kind="login", detail__moved=True)
        assert moves.count() == 2
        assert not SessionEvent.objects.filter(kind="new_device").exists()

    def test_limit(self, returning, user):
        """Old sessions count when they move, and the first to come leave."""
        for key in [before_the_switch(user) for _ in range(4)]:
            assert returning(key).user == user.pk

        assert Session.objects.filter(ended_at=None).count() == 3
        assert Session.objects.filter(end_reason="evicted").count() == 1

    def test_limit_that_rejects(self, returning, settings, user):
        """Under `reject` the one too many signs in anew, and is told then."""
        settings.SECURE_SESSIONS |= {"LIMIT_STRATEGY": "reject", "MAX_SESSIONS": 1}
        first, second = before_the_switch(user), before_the_switch(user)
        returning(first).get("/show/")
        browser = returning(second)

        assert browser.user is None
        assert not browser.key
        assert not old_session(second).items()
        assert Session.objects.count() == 1

    def test_old_key_is_nowhere(self, returning, user):
        """No table and no cache of ours holds the key that came."""
        old = before_the_switch(user)
        returning(old).get("/show/")
        old_session(old).delete()

        assert old.encode() not in database_dump() + cache_dump()

    def test_page_that_does_not_look(self, returning, user):
        """A page without interest in the session moves nothing."""
        browser = returning(before_the_switch(user))
        with CaptureQueriesContext(connection) as queries:
            browser.get("/")

        assert not queries.captured_queries


class TestFactors:
    """A session from before the second factor has shown none."""

    def test_user_with_a_factor_shows_it(self, returning, user, clock):
        """Nobody is signed in before the code, and a correct one finishes."""
        old = before_the_switch(user)
        clock.move_to(NOON)
        secret = give_totp(user)
        browser = returning(old)

        assert browser.user is None
        response = browser.get("/private/", **JSON)
        assert (response.status_code, response.json()["error"]) == (401, "mfa_required")
        browser.post("/account/mfa/verify/", {"code": code_at(secret, NOON)})
        assert (browser.user, browser.data) == (user.pk, {"cart": "full"})
        assert Session.objects.get(user=user).aal == 2

    def test_it_is_no_recent_proof(self, returning, user):
        """Its login may be days ago, so what wants a fresh one asks."""
        browser = returning(before_the_switch(user))

        response = browser.get("/view/recent/", **JSON)
        assert response.json()["error"] == "reauthentication_required"
        browser.post("/account/mfa/confirm/", {"password": PASSWORD})
        assert browser.get("/view/recent/").content == b"in"

    def test_enrolment_is_demanded(self, returning, settings, user):
        """Whoever must have a factor is led to set one up, at the first request."""
        settings.SECURE_SESSIONS |= {"MFA_REQUIRED_FOR": "all"}
        browser = returning(before_the_switch(user))

        response = browser.get("/show/", **JSON)
        assert response.json()["error"] == "mfa_enrolment_required"


class TestRefusal:
    def test_user_who_may_not_sign_in(self, returning, user):
        """The session of a deactivated user is dropped, and stays so."""
        old = before_the_switch(user)
        type(user).objects.update(is_active=False)
        browser = returning(old)

        assert browser.user is None
        assert not Session.objects.exists()
        type(user).objects.update(is_active=True)
        assert returning(old).user is None

    def test_another_password(self, returning, user):
        """The hash that Django keeps in a session must fit."""
        old = before_the_switch(user)
        user.set_password("another horse")
        user.save()

        assert returning(old).user is None
        assert not SessionEvent.objects.filter(kind="login").exists()

    def test_expired(self, returning, user, clock):
        """What had expired under the old engine has expired."""
        old = before_the_switch(user)
        clock.shift(timedelta(days=15))

        assert returning(old).user is None
        assert not Session.objects.exists()

    @pytest.mark.parametrize(
        ("cookie", "cost"),
        [(UNKNOWN, 1), ("A" * 32, 0), ("a" * 31, 0), ("a" * 40, 0), ("é" * 32, 0)],
    )
    def test_cost_of_what_is_unknown(self, store, cookie, cost):
        """One query for the form of an old key, none for any other; nothing is made."""
        with CaptureQueriesContext(connection) as queries:
            session = store(cookie)
            assert not session.items()
            assert session.session_key is None

        assert len(queries) == cost
        assert not Session.objects.exists()

    def test_without_the_setting(self, returning, store, settings, user):
        """Nothing is looked up, and the cookie is taken away."""
        del settings.SECURE_SESSIONS
        old = before_the_switch(user)
        with CaptureQueriesContext(connection) as queries:
            assert not store(old).items()
        browser = returning(old)

        assert not queries.captured_queries
        assert browser.user is None
        assert not browser.key


class TestOldKey:
    """After the move it is the key before a rotation, and no more."""

    def test_requests_on_their_way(self, returning, user, clock):
        """For 30 seconds it leads to the same session, and leaves the cookie be."""
        old = before_the_switch(user)
        returning(old).get("/show/")
        late = returning(old)

        assert late.user == user.pk
        late.get("/put/cart/empty/")
        assert late.key == old
        assert late.data == {"cart": "empty"}
        assert Session.objects.count() == 1
        clock.shift(timedelta(seconds=31))
        assert returning(old).user is None

    def test_request_that_is_slower(self, store, user, monkeypatch):
        """Of two that found the session in its old place, one moves it for both."""
        old = before_the_switch(user)
        fast, slow = store(old), store(old)
        is_let_in = previous._is_let_in

        def overtaken(data):
            monkeypatch.setattr(previous, "_is_let_in", is_let_in)
            fast.items()
            return is_let_in(data)

        monkeypatch.setattr(previous, "_is_let_in", overtaken)
        slow["slow"] = True
        slow.save()

        assert slow.by_previous_key
        assert slow.public_id == fast.public_id
        assert {"cart", "slow"} <= {**store(fast.session_key)}.keys()
        assert Session.objects.count() == 1
        assert SessionEvent.objects.filter(kind="login").count() == 1

    @pytest.mark.parametrize("leave", ["/leave/", "/aleave/", "/flush/"])
    @pytest.mark.parametrize("is_late", [False, True])
    def test_logout(self, returning, user, leave, is_late):
        """A logout ends it for good, whichever of the two keys asked for it."""
        old = before_the_switch(user)
        browser = returning(old)
        if is_late:
            browser.get("/show/")
        browser.get(leave)

        assert returning(old).user is None
        assert Session.objects.get().ended_at

    def test_revoked(self, returning, user):
        """An end from another place holds for the old key too."""
        old = before_the_switch(user)
        returning(old).get("/show/")
        lifecycle.end_all(user)

        assert returning(old).user is None

    def test_visitor_who_left(self, returning):
        """A session of nobody, gone without a trace, does not come back either."""
        old = before_the_switch()
        browser = returning(old)
        browser.get("/show/")
        browser.get("/flush/")

        assert returning(old).data == {}
        assert not Session.objects.exists()

    def test_engine_that_kept_it(self, returning, user, clock, monkeypatch, caplog):
        """Even if the old engine could not let go of it, nothing moves twice."""
        store, old = type(old_session(None)), before_the_switch(user)
        with monkeypatch.context() as patch:
            patch.setattr(store, "save", _away)
            assert returning(old).user == user.pk
        assert "left behind: DatabaseError" in caplog.text
        clock.shift(timedelta(seconds=31))
        lifecycle.end_all(user)

        assert returning(old).user is None
        assert Session.objects.count() == 1

    def test_another_user_signs_in(self, returning, user):
        """A login in the same browser works as it does after any session."""
        other = UserFactory()
        browser = returning(before_the_switch(user))
        browser.post("/login/", {"username": other.username, "password": PASSWORD})

        assert browser.user == other.pk

    @pytest.mark.parametrize("path", ["/enter/{}/", "/aenter/{}/"])
    def test_same_user_signs_in(self, returning, user, path):
        """A new login is one by password, and the old key is dead at once."""
        old = before_the_switch(user)
        browser = returning(old)
        browser.get(path.format(user.pk))

        assert browser.user == user.pk
        assert Session.objects.get(ended_at=None).amr == "pwd"
        assert returning(old).user is None


class TestFailure:
    """A page that fails logs nobody out."""

    def test_page_that_raises(self, returning, user):
        """The browser gets its new key with the error."""
        browser = returning(before_the_switch(user))

        assert browser.get("/status/500/").status_code == 500
        assert browser.user == user.pk

    def test_transaction_that_is_rolled_back(self, store, user):
        """The move is undone with the page's own writes, and made at the next one."""
        old = before_the_switch(user)
        with transaction.atomic():
            assert store(old).user_id == user.pk
            transaction.set_rollback(True)

        assert not Session.objects.exists()
        assert store(old).user_id == user.pk

    def test_old_engine_that_is_away(self, returning, user, monkeypatch):
        """While the table does not answer, the site says so and keeps the cookie."""
        old = before_the_switch(user)
        browser = returning(old)
        with monkeypatch.context() as patch:
            patch.setattr(type(old_session(old)), "load", _away)
            assert browser.get("/show/").status_code == 503

        assert browser.user == user.pk


def _away(*args):
    raise DatabaseError("away")


def test_replaced_unread(store, user):
    """Data that replaces the old unread stays what it was replaced by."""
    session = store(before_the_switch(user))
    session.clear()
    session["cart"] = "empty"
    session.save()

    assert dict(store(session.session_key).items()) == {"cart": "empty"}


class OtherEngine(SessionBase):
    """An engine of another package: it keeps sessions in a dict."""

    kept: dict[str, dict[str, object]] = {}

    def load(self):
        return self.kept.get(self.session_key, {})

    def save(self, must_create=False):
        self.kept[self.session_key] = self._get_session()

    def delete(self, session_key=None):
        self.kept.pop(session_key or self.session_key, None)


SessionStore = OtherEngine


def test_engine_of_another_package(returning, settings):
    """Whatever follows SessionBase can be the engine before."""
    settings.SECURE_SESSIONS = {"PREVIOUS_ENGINE": __name__}
    OtherEngine.kept[UNKNOWN] = {"cart": "full"}
    browser = returning(UNKNOWN)

    assert browser.data == {"cart": "full"}
    assert crypto.resolve(browser.key)
