"""A page that fails, a transaction that rolls back, a database that is away."""

from __future__ import annotations

from unittest import mock

import pytest
from django.db import OperationalError

from django_secure_sessions import lifecycle
from django_secure_sessions.backends import rows
from django_secure_sessions.models import Session
from tests.visitor import JSON

pytestmark = pytest.mark.django_db(transaction=True)


class Replicas:
    """Sends reads to a replica, which must not be asked about sessions."""

    def db_for_read(self, model, **hints):
        return "replica" if model._meta.app_label == Session._meta.app_label else None

    def db_for_write(self, model, **hints):
        return "default"


class TestReplicas:
    """A replica may lag behind an end, so nobody asks it who is signed in."""

    @pytest.fixture(autouse=True)
    def _replicas(self, settings):
        settings.DATABASE_ROUTERS = [f"{__name__}.Replicas"]
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 2}

    def test_life_of_a_session(self, visitor, user, clock):
        """Login, read, touch, save, eviction, rotation and end: all at the primary."""
        browsers = [visitor() for _ in range(3)]
        for browser in browsers:
            browser.enter(user)
            browser.get("/put/cart/full/")
            clock.shift(61)

        assert [browser.user for browser in browsers] == [None, user.pk, user.pk]
        browsers[2].get("/rotate/")
        assert browsers[2].data == {"cart": "full"}
        browsers[1].get("/change-password/")
        assert [browser.user for browser in browsers] == [None, user.pk, None]
        lifecycle.end_all(user)
        assert browsers[1].user is None
        assert browsers[1].get("/private/", **JSON).json()["reason"] == "revoked"


class TestHalfALogin:
    def test_failed_page_logs_nobody_in(self, visitor, user):
        """A 500 after login() leaves no session of the user, and the old cookie."""
        browser = visitor()
        browser.get("/put/cart/full/")
        response = browser.get(f"/enter-and-fail/{user.pk}/")

        assert response.status_code == 500
        assert not Session.objects.for_user(user).filter(ended_at=None).exists()
        assert browser.user is None
        assert browser.data == {"cart": "full"}

    def test_saved_login_is_taken_back(self, visitor, user):
        """Even a login that was saved by hand ends with the page that failed."""
        browser = visitor()
        response = browser.get(f"/enter-save-and-fail/{user.pk}/")

        assert response.status_code == 500
        assert not Session.objects.for_user(user).filter(ended_at=None).exists()

    def test_rolled_back_login_keeps_the_status(self, visitor, user):
        """A 404 that rolled the login back stays a 404, with nobody logged in."""
        browser = visitor()
        browser.get("/put/cart/full/")
        response = browser.get(f"/enter-and-miss/{user.pk}/")

        assert response.status_code == 404
        assert not Session.objects.for_user(user).exists()
        assert browser.data == {"cart": "full"}

    def test_rolled_back_rotation_keeps_the_session(self, visitor, user):
        """A rotation that was rolled back signs nobody out."""
        browser = visitor()
        browser.enter(user)
        response = browser.get("/rotate-and-miss/")

        assert response.status_code == 404
        assert browser.user == user.pk

    @pytest.mark.parametrize("page", ["rotate-and-fail", "step-up-and-fail"])
    def test_failed_page_hands_out_the_new_key(self, visitor, user, page, clock):
        """A page that failed after a rotation still tells the browser the new key."""
        browser = visitor()
        browser.enter(user)
        before = browser.key
        response = browser.get(f"/{page}/")
        clock.shift(60)

        assert response.status_code == 500
        assert browser.key != before
        assert browser.user == user.pk

    def test_rolled_back_step_up_keeps_the_key(self, visitor, user):
        """Where the step-up was rolled back with its page, the old key lives on."""
        browser = visitor()
        browser.enter(user)
        before = browser.key
        response = browser.get("/step-up-and-roll-back/")

        assert response.status_code == 500
        assert browser.key == before
        assert browser.user == user.pk
        assert Session.objects.get(user=user).aal == 1


class TestOutage:
    """The database does not answer. Nobody is signed out for that."""

    @pytest.fixture
    def browser(self, visitor, user):
        browser = visitor()
        browser.enter(user)
        return browser

    @pytest.mark.parametrize(
        ("statement", "path"),
        [
            ("fetch", "/show/"),
            ("fetch", "/private/"),
            ("fetch", "/put/a/b/"),
            ("fetch", "/leave/"),
            ("update", "/put/a/b/"),
            ("update", "/rotate/"),
            ("end", "/leave/"),
        ],
    )
    def test_503(self, browser, user, statement, path):
        """The answer is a 503 that asks to come back, and the cookie stays."""
        key = browser.key
        with mock.patch.object(rows, statement, side_effect=OperationalError("away")):
            response = browser.get(path, **JSON)

        assert response.status_code == 503
        assert response.json()["error"] == "unavailable"
        assert response["Retry-After"]
        assert not response.cookies
        assert browser.key == key
        assert browser.user == user.pk

    def test_page_without_session_is_served(self, browser):
        """What does not need the session does not need the database."""
        with mock.patch.object(rows, "fetch", side_effect=OperationalError("away")):
            assert browser.get("/").status_code == 200

    def test_error_of_the_site_is_its_own(self, browser, user):
        """A database error of a view is a 500 of that view, not our outage."""
        with mock.patch("tests.pages.plain", side_effect=OperationalError("theirs")):
            assert browser.get("/show/").status_code == 500

    def test_store_raises_what_happened(self, store, user, call):
        """A lost connection is itself, never "the session was deleted"."""
        session = store()
        session["cart"] = "full"
        session.save()
        session["cart"] = "fuller"
        with (
            mock.patch.object(rows, "update", side_effect=OperationalError("away")),
            pytest.raises(OperationalError),
        ):
            call(session, "save")


class TestServerErrors:
    def test_data_is_not_saved(self, visitor):
        """A page that fails keeps the session as it was, as Django does."""
        browser = visitor()
        browser.get("/put/cart/full/")
        with mock.patch("tests.pages.HttpResponse", side_effect=RuntimeError):
            assert browser.get("/put/cart/lost/").status_code == 500

        assert browser.data == {"cart": "full"}

    @pytest.mark.parametrize("code", [500, 503])
    def test_activity_counts(self, visitor, user, clock, code):
        """A request that fails was still activity of its user."""
        browser = visitor()
        browser.enter(user)
        clock.shift(20 * 60)
        browser.get(f"/status/{code}/")
        clock.shift(20 * 60)

        assert browser.user == user.pk
