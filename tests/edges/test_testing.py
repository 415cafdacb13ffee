"""What the tests of a site are given: it does what a visitor would, and no more."""

from __future__ import annotations

import ast
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncClient, Client, TestCase
from django.test.utils import _TestState, override_settings

import django_secure_sessions
from django_secure_sessions import lifecycle, testing
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.state import EndReason
from tests.cached import cached_engine
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.mfa_pages")]

VERIFY = "/account/mfa/verify/"


def ask(client, path="/vault/"):
    get = async_to_sync(client.get) if isinstance(client, AsyncClient) else client.get
    return get(path)


@pytest.fixture(params=[Client, AsyncClient])
def client(request):
    return request.param()


@pytest.fixture(params=["db", "cached_db", "pulse"])
def signed_in(request, client, user, settings, clock):
    """Return a client at level 2 and a minute on, which every cache knows of."""
    if request.param == "pulse":
        settings.SECURE_SESSIONS = {"TOUCH_STORE": "cache"}
    cached = nullcontext() if request.param == "db" else cached_engine(settings)
    with cached:
        testing.login_with_second_factor(client, user)
        for _ in range(2):
            assert ask(client).content == b"vault"
            clock.shift(61)
        yield client


class TestLogin:
    @pytest.mark.parametrize("has_factor", [False, True])
    def test_level_2(self, client, user, has_factor):
        """A user with or without a factor is let in where one is asked for."""
        if has_factor:
            testing.enrol_totp(user)
        testing.login_with_second_factor(client, user, method="hwk")

        assert ask(client).content == b"vault"
        assert ask(client, "/fresh/").status_code == 200
        row = testing.session_of(client)
        assert (row.user_id, row.aal, row.amr) == (user.pk, 2, "pwd hwk")
        assert SessionEvent.objects.filter(kind="login", session_id=row.id).count() == 1

    def test_codes_of_the_app(self, client, user, clock):
        """An app of a test shows what the site takes, as often as there are codes."""
        app = testing.enrol_totp(user)
        for _ in range(3):
            browser = Client()
            browser.force_login(user)
            assert ask(browser).status_code == 302
            assert browser.post(VERIFY, {"code": app.code()}).status_code == 302
            assert ask(browser).content == b"vault"
        with pytest.raises(AssertionError, match="move the clock"):
            app.code()
        clock.shift(30)

        assert app.code()

    def test_key_of_the_app_stays_out_of_output(self, user):
        """A failed test prints its values; the key is none of them."""
        app = testing.enrol_totp(user)

        assert app.secret not in repr(app)


class TestTime:
    @pytest.mark.parametrize("reason", [EndReason.IDLE, EndReason.ABSOLUTE])
    def test_timeout(self, signed_in, reason):
        """The next request finds the session over, by this very timeout."""
        session_id = testing.session_of(signed_in).id
        testing.expire(signed_in, reason)
        testing.assert_session_ended(signed_in, reason)
        location = ask(signed_in)["Location"]

        assert f"session_ended={reason.value}" in location
        testing.assert_session_ended(session_id, reason)
        with pytest.raises(AssertionError, match="no session cookie"):
            testing.session_of(signed_in)

    def test_timeout_that_is_none(self, client, user, settings):
        """What never ends can't be let pass."""
        settings.SECURE_SESSIONS = {"IDLE_TIMEOUT": None}
        testing.login_with_second_factor(client, user)

        with pytest.raises(ValueError, match="'idle'"):
            testing.expire(client)
        with pytest.raises(ValueError, match="'revoked'"):
            testing.expire(client, EndReason.REVOKED)

    def test_proof_gets_old(self, signed_in):
        """The session lives on, and what wants a fresh proof asks for one."""
        testing.age_proof(signed_in, timedelta(minutes=16))

        assert ask(signed_in).content == b"vault"
        assert "/mfa/confirm/" in ask(signed_in, "/fresh/")["Location"]


class TestEnd:
    def test_revoked(self, signed_in, user):
        """An end is seen with its reason, before the browser hears of it and after."""
        session_id = testing.session_of(signed_in).id
        with pytest.raises(AssertionError, match="live"):
            testing.assert_session_ended(signed_in)
        lifecycle.end_all(user)

        testing.assert_session_ended(signed_in)
        ask(signed_in)
        testing.assert_session_ended(session_id, EndReason.REVOKED)
        with pytest.raises(AssertionError, match="REVOKED"):
            testing.assert_session_ended(session_id, EndReason.EVICTED)

    def test_no_session(self, client, user):
        """A client without a session is no proof that one ended."""
        with pytest.raises(AssertionError, match="no session cookie"):
            testing.assert_session_ended(client)
        testing.login_with_second_factor(client, user)
        Session.objects.get().delete()
        with pytest.raises(AssertionError, match="no such session"):
            testing.assert_session_ended(client)


class TestAtWork:
    """Outside tests it grants nothing."""

    def test_refused(self, client, user, monkeypatch):
        """Without Django's test environment no helper does a thing."""
        testing.login_with_second_factor(client, user)
        monkeypatch.delattr(_TestState, "saved_data")
        for shortcut in (
            lambda: testing.enrol_totp(user),
            lambda: testing.login_with_second_factor(client, user),
            lambda: testing.expire(client),
            lambda: testing.age_proof(client, timedelta(1)),
        ):
            with pytest.raises(RuntimeError, match="tests alone"):
                shortcut()

    def test_nobody_imports_it(self):
        """No module of the package knows it, so that none can come to use it."""
        root = Path(django_secure_sessions.__file__).parent
        names = {
            alias.name
            for path in root.rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in [*node.names, ast.alias(getattr(node, "module", "") or "")]
        }

        assert "middleware" in {name.rpartition(".")[2] for name in names}
        assert "testing" not in {name.rpartition(".")[2] for name in names}


@override_settings(ROOT_URLCONF="tests.mfa_pages")
class PlainTests(TestCase):
    """As a site writes them that knows no pytest."""

    def setUp(self):
        self.user = UserFactory()

    def test_client(self):
        """The client of a TestCase signs in."""
        testing.login_with_second_factor(self.client, self.user)

        self.assertContains(self.client.get("/vault/"), "vault")

    async def test_coroutine(self):
        """In a coroutine they are called in a thread."""
        login = sync_to_async(testing.login_with_second_factor)
        await login(self.async_client, self.user)
        response = await self.async_client.get("/avault/")

        self.assertContains(response, "vault")
