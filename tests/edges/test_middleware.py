"""What the middleware adds to a response, and what it leaves alone."""

from __future__ import annotations

import threading
from unittest import mock

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.contrib.admin.checks import check_dependencies
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, Client, RequestFactory

from django_secure_sessions.middleware import SecureSessionMiddleware
from django_secure_sessions.models import Session
from tests.factories import SessionFactory
from tests.visitor import JSON, Visitor

pytestmark = pytest.mark.urls("tests.pages")


@pytest.fixture(params=[False, True], ids=["wsgi", "asgi"])
def browser(request, db):
    return Visitor(asgi=request.param)


class TestHeaders:
    def test_untouched_page(self, browser, user, django_assert_num_queries):
        """A page that ignores the session costs nothing and varies by nothing."""
        browser.enter(user)
        with django_assert_num_queries(0):
            response = browser.get("/")

        assert not response.cookies
        assert "Vary" not in response
        assert "Cache-Control" not in response

    def test_stranger_on_a_reading_page(self, browser, django_assert_num_queries):
        """A page that looks at the session of a stranger asks no database."""
        with django_assert_num_queries(0):
            response = browser.get("/show/")

        assert response["Vary"] == "Cookie"
        assert not response.cookies

    def test_reading_page(self, browser, user):
        """Reading varies by cookie and sends none."""
        browser.enter(user)
        response = browser.get("/show/")

        assert "Cookie" in response["Vary"]
        assert not response.cookies

    def test_key_is_cached_nowhere(self, browser):
        """A response that carries a key is for its receiver alone."""
        response = browser.get("/put/a/b/")

        assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))
        assert "Cookie" in response["Vary"]

    def test_cookie_attributes(self, browser, settings):
        """All of Django's cookie settings are honoured."""
        settings.SESSION_COOKIE_NAME = "__Host-id"
        settings.SESSION_COOKIE_SECURE = True
        settings.SESSION_COOKIE_SAMESITE = "Strict"
        settings.SESSION_COOKIE_PATH = "/app"
        settings.SESSION_COOKIE_DOMAIN = "example.com"
        settings.SESSION_COOKIE_AGE = 600
        cookie = browser.get("/put/a/b/").cookies["__Host-id"]

        assert cookie["secure"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/app"
        assert cookie["domain"] == "example.com"
        assert cookie["max-age"] == 600

    def test_browser_length_session(self, browser, settings):
        """SESSION_EXPIRE_AT_BROWSER_CLOSE gives a cookie without an end."""
        settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = True
        cookie = browser.get("/put/a/b/").cookies[settings.SESSION_COOKIE_NAME]

        assert not cookie["max-age"]
        assert not cookie["expires"]

    @pytest.mark.parametrize("every", [False, True])
    def test_shared_cache(self, browser, user, settings, every):
        """Under Django's page cache no visitor gets another's page or cookie."""
        settings.SESSION_SAVE_EVERY_REQUEST = every
        settings.MIDDLEWARE = [
            "django.middleware.cache.UpdateCacheMiddleware",
            *settings.MIDDLEWARE,
            "django.middleware.cache.FetchFromCacheMiddleware",
        ]
        stranger = Visitor(asgi=browser.asgi)
        browser.client.cookies["unrelated"] = "1"
        browser.enter(user)
        browser.get("/put/a/private/")
        assert browser.user == user.pk

        assert stranger.user is None
        assert stranger.data == {}
        assert stranger.key is None


class TestLoginRequired:
    """Under Django's LoginRequiredMiddleware, on open pages and on all others."""

    @pytest.fixture(autouse=True)
    def _everywhere(self, settings):
        settings.MIDDLEWARE = [
            *settings.MIDDLEWARE,
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
        ]

    @pytest.fixture
    def expired(self, browser, user, clock):
        SessionFactory(user=user)
        browser.key = SessionFactory(user=user).session_key
        clock.shift(31 * 60)
        return browser

    def test_open_page(self, expired):
        """A page for everybody takes the owner of an expired session for nobody."""
        assert expired.get("/open/").json() == {"user": None, "data": {}}

    def test_other_page(self, expired):
        """Any other page refuses, and says why."""
        answer = expired.get("/show/", **JSON)

        assert answer.status_code == 401
        assert answer.json()["error"] == "session_expired"

    def test_signed_in(self, browser, user):
        """Who is signed in sees both."""
        browser.key = SessionFactory(user=user).session_key

        assert [browser.get(page).status_code for page in ("/open/", "/show/")] == [
            200,
            200,
        ]


@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "JSON"])
@pytest.mark.parametrize("page", ["/private/", "/account/sessions/", "/desk/"])
def test_forged_host(browser, settings, page, headers):
    """A refusal names no host, so a forged one leads nobody away."""
    assert browser.get(page, host="evil.example", **headers).status_code == 400
    settings.ALLOWED_HOSTS = ["*"]
    response = browser.get(page, host="evil.example", **headers)

    assert response.status_code in (302, 401)
    assert b"evil" not in response.content
    assert "evil" not in str(response.headers)


class TestRefusedSaves:
    @pytest.mark.parametrize("every", [False, True])
    def test_save_every_request(self, browser, user, settings, every):
        """SESSION_SAVE_EVERY_REQUEST sends the cookie each time, as in Django."""
        browser.enter(user)
        settings.SESSION_SAVE_EVERY_REQUEST = every

        assert bool(browser.get("/show/").cookies) is every

    def test_untouched_page_after_the_end(self, browser, user, settings):
        """With it, too, a public page is served to the browser of an ended session."""
        browser.enter(user)
        Session.objects.all().delete()
        settings.SESSION_SAVE_EVERY_REQUEST = True

        assert browser.get("/").status_code == 200


class TestSetUp:
    def test_foreign_engine(self, settings):
        """Another engine is refused at start, with the names of ours."""
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"

        with pytest.raises(ImproperlyConfigured, match=r"backends\.db"):
            SecureSessionMiddleware(lambda request: None)

    def test_takes_the_place_of_djangos(self):
        """Django's checks accept it, since it is one."""
        assert issubclass(SecureSessionMiddleware, SessionMiddleware)
        assert "admin.E410" not in {error.id for error in check_dependencies()}

    def test_bare_request(self, user):
        """The test client's request, which has no META, will do."""
        client = Client()
        client.force_login(user)

        assert client.session["_auth_user_id"] == str(user.pk)


class TestAsync:
    def test_no_thread(self):
        """A request that leaves its session alone stays on the event loop."""
        seen = []

        async def view(request):
            seen.append(threading.get_ident())
            return HttpResponse("still")

        async def ask():
            seen.append(threading.get_ident())
            request = AsyncRequestFactory().get("/")
            with mock.patch("asgiref.sync.SyncToAsync.__call__") as hop:
                response = await SecureSessionMiddleware(view)(request)
            return response, hop.called

        response, hopped = async_to_sync(ask)()

        assert response.content == b"still"
        assert not hopped
        assert len(set(seen)) == 1

    @pytest.mark.parametrize("cookie", ["forged" * 7, ""])
    def test_no_thread_for_the_forged(self, cookie, settings):
        """A forged cookie buys nobody a thread either."""

        async def view(request):
            return HttpResponse("still")

        async def ask():
            request = AsyncRequestFactory().get("/")
            request.COOKIES[settings.SESSION_COOKIE_NAME] = cookie
            with mock.patch("asgiref.sync.SyncToAsync.__call__") as hop:
                await SecureSessionMiddleware(view)(request)
            return hop.called

        assert async_to_sync(ask)() is False

    def test_both_modes(self):
        """It is a coroutine function exactly where the next in line is one."""

        async def view(request):
            return HttpResponse()

        assert iscoroutinefunction(SecureSessionMiddleware(view))
        assert not iscoroutinefunction(SecureSessionMiddleware(lambda request: None))

    @pytest.mark.django_db
    def test_session_survives_between_the_handlers(self, user):
        """A session begun under WSGI goes on under ASGI, and back."""
        first, second = Visitor(), Visitor(asgi=True)
        first.enter(user)
        second.key = first.key
        second.get("/aput/cart/full/")

        assert first.data == {"cart": "full"}


@pytest.mark.django_db
def test_streaming_response_gets_its_cookie(settings):
    """A streamed page keeps streaming, cookie and all."""

    def view(request):
        request.session["a"] = "b"
        return StreamingHttpResponse(iter([b"a", b"b"]))

    response = SecureSessionMiddleware(view)(RequestFactory().get("/"))

    assert response.streaming
    assert response.cookies[settings.SESSION_COOKIE_NAME].value
    assert b"".join(response) == b"ab"
