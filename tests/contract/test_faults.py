"""A page that fails, a transaction that rolls back, a database that is away."""

from __future__ import annotations

from unittest import mock

import pytest
from django.db import OperationalError

from django_secure_sessions.backends import rows
from django_secure_sessions.models import Session
from tests.visitor import JSON

pytestmark = pytest.mark.django_db(transaction=True)


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
