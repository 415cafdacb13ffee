"""WebSockets by channels, behind its own middleware stack, over our engine."""

from __future__ import annotations

import json

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.utils import timezone

from django_secure_sessions import lifecycle
from django_secure_sessions.mfa import pending
from django_secure_sessions.models import Session
from tests.factories import UserFactory
from tests.mfa import code_at, give_totp

pytest.importorskip("channels")

pytestmark = [
    # Its look-ups run in a thread of their own, which sees what is committed.
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.mfa_pages"),
]

VERIFY = "/account/mfa/verify/"


def stack():
    """Return a socket that says whom it takes its visitor for."""
    from channels.auth import AuthMiddlewareStack, login
    from channels.generic.websocket import AsyncJsonWebsocketConsumer

    class Who(AsyncJsonWebsocketConsumer):
        async def connect(self):
            await self.accept()
            await self.send_json({"user": self.scope["user"].pk})

        async def receive_json(self, content):
            """Log a user in by channels' own function, and keep the session."""
            from django.contrib.auth import get_user_model

            user = await get_user_model().objects.aget(pk=content["enter"])
            await login(self.scope, user, settings.AUTHENTICATION_BACKENDS[0])
            await self.scope["session"].asave()
            await self.send_json({"key": self.scope["session"].session_key})

    return AuthMiddlewareStack(Who.as_asgi())


def talk(browser, *said):
    """Open a socket with the cookies of a browser; return what it answers."""
    morsel = browser.cookies.get(settings.SESSION_COOKIE_NAME)
    cookies = f"{settings.SESSION_COOKIE_NAME}={morsel.value}" if morsel else ""
    scope = {
        "type": "websocket",
        "path": "/who/",
        "query_string": b"",
        "headers": [(b"cookie", cookies.encode())],
        "subprotocols": [],
    }

    async def connect():
        socket = ApplicationCommunicator(stack(), scope)
        await socket.send_input({"type": "websocket.connect"})
        assert (await socket.receive_output(10))["type"] == "websocket.accept"
        heard = [json.loads((await socket.receive_output(10))["text"])]
        for words in said:
            text = json.dumps(words)
            await socket.send_input({"type": "websocket.receive", "text": text})
            heard.append(json.loads((await socket.receive_output(10))["text"]))
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(10)
        return heard

    return async_to_sync(connect)()


def visitor_of(browser):
    return talk(browser)[0]["user"]


@pytest.fixture
def member(db):
    """Return a user with an authenticator app, as ``member.secret``."""
    person = UserFactory()
    person.secret = give_totp(person)
    return person


def test_a_socket_knows_nobody_before_the_code(client, member):
    """Anonymous, half done, whole, revoked: the socket sees what pages see."""
    assert visitor_of(client) is None
    client.get(f"/enter/{member.pk}/")
    assert visitor_of(client) is None

    client.post(VERIFY, {"code": code_at(member.secret, timezone.now())})
    assert visitor_of(client) == member.pk

    lifecycle.end_all(member)
    assert visitor_of(client) is None


def test_a_login_in_a_socket_waits_for_the_code_too(member):
    """channels' ``login()`` tells of no request; what it stores is half a login."""
    browser = Client()
    browser.get("/put/tea/")

    _, stored = talk(browser, {"enter": member.pk})

    browser.cookies[settings.SESSION_COOKIE_NAME] = stored["key"]
    assert browser.get("/who/").json() == {"user": None}
    assert SESSION_KEY not in browser.session
    assert not Session.objects.filter(user=member).exists()
    assert visitor_of(browser) is None
    # The code finishes it as any other.
    assert pending.PENDING_KEY in browser.session
    browser.post(VERIFY, {"code": code_at(member.secret, timezone.now())})
    assert browser.get("/who/").json() == {"user": member.pk}
    assert browser.session.aal == 2


def test_a_login_in_a_socket_without_a_factor(user):
    """Who has no second factor is signed in as ever."""
    browser = Client()
    _, stored = talk(browser, {"enter": user.pk})
    browser.cookies[settings.SESSION_COOKIE_NAME] = stored["key"]
    assert browser.get("/who/").json() == {"user": user.pk}
