"""No way in before the code: every path that calls ``login()`` ends half done."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model, user_logged_in
from django.contrib.auth.tokens import default_token_generator
from django.test import AsyncClient, Client
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from django_secure_sessions.mfa import pending
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.signals import session_authenticated
from tests.factories import PASSWORD, UserFactory
from tests.hearing import connected
from tests.mfa import code_at, give_totp, reloaded

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.mfa_pages")]

VERIFY = "/account/mfa/verify/"
JSON = {"headers": {"accept": "application/json"}}


@pytest.fixture
def member(db):
    """Return a member of staff with an authenticator app, as ``member.secret``."""
    person = UserFactory(is_staff=True, is_superuser=True)
    person.secret = give_totp(person)
    return person


def login_page(browser, member):
    return browser.post("/login/", {"username": member.username, "password": PASSWORD})


def admin_login(browser, member):
    return browser.post(
        "/admin/login/?next=/admin/",
        {"username": member.username, "password": PASSWORD, "next": "/admin/"},
    )


def password_reset(browser, member):
    uid = urlsafe_base64_encode(force_bytes(member.pk))
    token = default_token_generator.make_token(member)
    form = browser.get(f"/reset/{uid}/{token}/")
    passwords = {"new_password1": "a new sentence", "new_password2": "a new sentence"}
    return browser.post(form["Location"], passwords)


def foreign_view(browser, member):
    return browser.get(f"/enter/{member.pk}/")


def async_view(browser, member):
    return browser.get(f"/aenter/{member.pk}/")


def own_login_page(browser, member):
    return browser.post(
        "/own/login/", {"username": member.username, "password": PASSWORD}
    )


DOORS = [
    login_page,
    own_login_page,
    admin_login,
    password_reset,
    foreign_view,
    async_view,
]


@pytest.fixture(params=DOORS, ids=lambda door: door.__name__)
def door(request):
    """Return a way to log in with a browser."""
    return request.param


def key_of(browser):
    """Return the session cookie of a browser."""
    return browser.cookies[settings.SESSION_COOKIE_NAME].value


def show_code(browser, member, **extra):
    """Enter the code of this moment."""
    code = code_at(member.secret, timezone.now())
    return browser.post(VERIFY, {"code": code, **extra})


@contextmanager
def announcements():
    """Return whose logins Django's signal announces meanwhile, and whose ours."""
    django, ours = [], []

    def logged_in(**kwargs):
        django.append(kwargs["user"].pk)

    def authenticated(**kwargs):
        ours.append(kwargs["user_id"])

    with (
        connected(user_logged_in, logged_in),
        connected(session_authenticated, authenticated),
    ):
        yield django, ours


class TestHalfDone:
    """What every door leaves behind for a user with a factor."""

    def test_it_leads_to_the_second_factor(self, client, member, door):
        """Whatever the view answered, the browser is sent to show a code."""
        response = door(client, member)
        assert response.status_code == 302
        assert response["Location"].startswith(VERIFY)

    def test_nobody_is_signed_in(self, client, member, door):
        """Neither the request, nor the data, nor the row names the user."""
        door(client, member)

        assert client.get("/who/").json() == {"user": None}
        assert client.get("/awho/").json() == {"user": None}
        assert SESSION_KEY not in client.session
        assert not Session.objects.filter(user=member).exists()
        assert Session.objects.get(pk=client.session.public_id).aal == 0

    def test_the_key_changes_twice(self, client, member, door):
        """A planted key, and the key of the half-done login, are both dead."""
        client.get("/put/tea/")
        planted = key_of(client)

        door(client, member)
        half = key_of(client)
        assert half != planted
        assert pending.PENDING_KEY not in type(client.session)(planted)

        assert show_code(client, member).status_code == 302
        whole = key_of(client)
        assert whole not in (half, planted)
        for key in (planted, half):
            assert SESSION_KEY not in type(client.session)(key)
        assert client.get("/basket/").content == b"tea"

    def test_the_code_lets_in(self, client, member, door):
        """After it the session is whole, at level 2."""
        door(client, member)

        response = show_code(client, member)

        assert response.status_code == 302
        assert client.get("/who/").json() == {"user": member.pk}
        assert client.session.aal == 2
        assert client.session.amr == ("pwd", "otp")

    def test_the_login_is_announced_once(
        self, client, member, door, django_capture_on_commit_callbacks
    ):
        """Django's signal comes once in all, ours once and with the code."""
        with announcements() as (django, ours):
            with django_capture_on_commit_callbacks(execute=True):
                door(client, member)
            assert ours == []
            with django_capture_on_commit_callbacks(execute=True):
                show_code(client, member)
        assert django == [member.pk]
        assert ours == [member.pk]

    def test_no_page_takes_it_for_a_session(self, client, member, door):
        """A crawl of every address finds none that knows the user."""
        door(client, member)
        half = client.session[pending.PENDING_KEY]

        for url in addresses():
            response = client.get(url)
            if response.status_code == 200:
                user = getattr(response.wsgi_request, "user", None)
                assert not getattr(user, "is_authenticated", False), url
                assert member.username not in response.content.decode(), url
            client.get(url, **JSON)
        assert client.session[pending.PENDING_KEY] == half

    def test_without_a_factor_the_door_is_open(self, client, door):
        """Who has no second factor notices nothing of all this."""
        person = UserFactory(is_staff=True)
        door(client, person)
        assert client.get("/who/").json() == {"user": person.pk}


def addresses():
    """Return every address of the site that takes no argument."""

    def walk(patterns, prefix):
        for pattern in patterns:
            path = prefix + str(pattern.pattern).lstrip("^").rstrip("$")
            if isinstance(pattern, URLPattern):
                if "<" not in path and "(" not in path and "logout" not in path:
                    yield f"/{path}"
            else:
                yield from walk(pattern.url_patterns, path)

    found = sorted(set(walk(get_resolver().url_patterns, "")))
    assert "/admin/" in found
    assert "/account/mfa/app/add/" in found
    return found


class TestDoors:
    """What is special about one of them."""

    def test_the_view_itself_sees_nobody(self, client, member):
        """The rest of the login view, and its templates, run anonymously."""
        client.get(f"/enter/{member.pk}/")
        response = client.get(f"/enter/{member.pk}/")
        assert not response.wsgi_request.user.is_authenticated

    def test_a_closed_page_leads_back_to_the_code(self, client, member):
        """Who wanders off before the code is asked for it, not for the password."""
        client.get(f"/enter/{member.pk}/")

        assert client.get("/private/?a=b")["Location"] == (
            f"{VERIFY}?next=/private/%3Fa%3Db"
        )
        answer = client.get("/private/", **JSON)
        assert (answer.status_code, answer.json()["error"]) == (401, "mfa_required")
        assert answer.json()["url"] == VERIFY

    def test_an_old_half_login_is_none(self, client, member, clock):
        """After MFA_PENDING_AGE it is the password again."""
        client.get(f"/enter/{member.pk}/")
        clock.shift(601)

        assert client.get("/private/")["Location"].startswith("/login/")
        answer = client.get("/private/", **JSON).json()
        assert answer["error"] == "authentication_required"

    def test_alogin_under_asgi(self, member):
        """The asynchronous handler ends half done as well."""

        async def visit():
            browser = AsyncClient()
            response = await browser.get(f"/aenter/{member.pk}/")
            shown = await browser.get("/awho/")
            return response, shown.json()

        response, shown = async_to_sync(visit)()
        assert response["Location"].startswith(VERIFY)
        assert shown == {"user": None}

    def test_a_json_login_is_told_what_is_missing(self, client, member):
        """401 with a code that a program can act on, and where to go."""
        response = client.post(
            "/api/login/",
            {"username": member.username, "password": PASSWORD},
            content_type="application/json",
        )
        assert response.status_code == 401
        assert response.json()["error"] == "mfa_required"
        assert response.json()["url"] == VERIFY
        assert client.get("/who/").json() == {"user": None}

    def test_force_login_forces_no_second_factor(self, member):
        """Not even the test client gets around it."""
        browser = Client()
        browser.force_login(member)
        assert browser.get("/who/").json() == {"user": None}

    def test_a_proof_from_elsewhere_is_believed(self, rf, member, client):
        """A site whose identity provider asked for two factors says so, and is in."""
        from django.contrib.auth import login

        from django_secure_sessions.backends.db import SessionStore
        from django_secure_sessions.backends.owning import Proof

        request = rf.get("/")
        request.session = SessionStore()
        request.session.proof = Proof(2, "fed mfa")
        login(request, member, settings.AUTHENTICATION_BACKENDS[0])
        request.session.save()
        assert reloaded(request.session).aal == 2

    def test_our_login_page_announces_nothing_too_early(self, client, member):
        """Django's signal waits for the code, and so does ``last_login``."""
        own_login_page(client, member)
        member.refresh_from_db()
        assert member.last_login is None

        show_code(client, member)

        member.refresh_from_db()
        assert member.last_login is not None

    def test_our_login_page_in_somebody_elses_browser(self, client, member):
        """The first one's session ends before the second one's code."""
        first = UserFactory()
        foreign_view(client, first)
        client.get("/put/secret/")
        own_login_page(client, member)
        assert client.get("/basket/").content == b"empty"
        assert not Session.objects.filter(user=first, ended_at=None).exists()

    def test_the_admin_sends_back_to_where_one_wanted(self, client, member):
        """Password, code, and then the page of the admin that was asked for."""
        response = admin_login(client, member)
        assert response["Location"] == f"{VERIFY}?next=/admin/"
        response = show_code(client, member, next="/admin/")
        assert response["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200

    def test_the_admin_stays_closed_until_then(self, client, member):
        """The half-done login of an administrator opens nothing of the admin."""
        admin_login(client, member)
        response = client.get(reverse("admin:index"))
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/")

    def test_signing_in_again_takes_the_code_again(self, client, member):
        """The same user at the login page, in a signed-in browser."""
        login_page(client, member)
        show_code(client, member)
        whole = key_of(client)

        login_page(client, member)

        assert client.get("/who/").json() == {"user": None}
        assert SESSION_KEY not in type(client.session)(whole)
        assert not Session.objects.filter(user=member, ended_at=None).exists()

    def test_another_user_in_the_same_browser(self, client, member):
        """The first one's session ends, and the second has to show a code."""
        first = UserFactory()
        foreign_view(client, first)
        client.get("/put/secret/")

        foreign_view(client, member)

        assert client.get("/who/").json() == {"user": None}
        assert client.get("/basket/").content == b"empty"
        assert not Session.objects.filter(user=first, ended_at=None).exists()

    def test_a_login_drops_what_another_left_half_done(self, client, member):
        """The code of one user never finishes after another has signed in."""
        foreign_view(client, member)
        other = UserFactory()
        foreign_view(client, other)

        response = show_code(client, member)

        assert response.status_code == 302
        assert client.get("/who/").json() == {"user": other.pk}

    def test_a_login_that_failed_leaves_nothing_pending(self, client, member):
        """An error after ``login()``: the next page finds no half-done login."""
        client.raise_request_exception = False
        client.get("/put/tea/")
        client.get(f"/enter-and-fail/{member.pk}/")

        assert client.get("/basket/").content == b"tea"
        assert show_code(client, member).status_code == 302
        assert client.get("/who/").json() == {"user": None}

    def test_the_reset_of_a_password_proves_no_second_factor(self, client, member):
        """Whoever reads the mail of a user still has no code."""
        response = password_reset(client, member)
        assert response["Location"] == f"{VERIFY}?next=/reset/done/"
        member.refresh_from_db()
        assert member.check_password("a new sentence")

    def test_the_history_tells_of_the_half_login(self, client, member):
        """Somebody knew the password: that is worth a line."""
        foreign_view(client, member)
        kinds = SessionEvent.objects.filter(user=member).values_list("kind", flat=True)
        assert list(kinds) == ["mfa_required"]

    def test_the_history_names_user_and_session(self, client, member):
        """Each line of a login can be looked up by both, to the code and after."""
        login_page(client, member)
        client.post(VERIFY, {"code": "000000"})
        show_code(client, member)
        found = SessionEvent.objects.filter(user=member).exclude(kind="mfa_required")
        assert [event.kind for event in found.order_by("pk")] == [
            "mfa_failed",
            "mfa_verified",
            "login",
        ]
        for event in found:
            assert event.username == member.username
            assert event.session_id == client.session.public_id

    def test_a_user_written_by_hand_owes_the_code_too(self, client, member):
        """What signs in past Django's ``login()`` stores half a login."""
        client.get(f"/by-hand/{member.pk}/")
        assert client.get("/who/").json() == {"user": None}
        assert not Session.objects.filter(user=member).exists()
        show_code(client, member)
        assert client.get("/who/").json() == {"user": member.pk}
        person = UserFactory()
        other = Client()
        other.get(f"/by-hand/{person.pk}/")
        assert other.get("/who/").json() == {"user": person.pk}

    def test_the_password_is_kept_nowhere(self, client, member, caplog):
        """Not in the data of the session, not in a log line."""
        login_page(client, member)
        assert PASSWORD not in str(dict(client.session.items()))
        assert PASSWORD not in caplog.text

    def test_a_deactivated_user_gets_no_further(self, client, member):
        """Between password and code the account was closed."""
        login_page(client, member)
        get_user_model().objects.filter(pk=member.pk).update(is_active=False)
        show_code(client, member)
        assert client.get("/who/").json() == {"user": None}
