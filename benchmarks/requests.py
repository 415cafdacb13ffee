"""What one request costs in each engine, through its middleware, with real logins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import SESSION_KEY, get_user_model, login, logout
from django.contrib.auth.models import update_last_login
from django.contrib.auth.signals import user_logged_in
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils.crypto import get_random_string

from django_secure_sessions.models import SessionEvent

from .engines import Engine, Handler
from .measuring import BARE, Times, timed, turns

BACKEND = "django.contrib.auth.backends.ModelBackend"
COOKIE = "sessionid"
# What a shop keeps: some 400 bytes of JSON.
CONTENTS: Mapping[str, Any] = {
    "theme": "dark",
    "language": "en-gb",
    "cart": [{"article": 1000 + n, "count": n, "note": "as a gift"} for n in range(5)],
    "last_visited": ["/articles/1/", "/articles/2/", "/search/?q=sessions"],
}
CLIENT: dict[str, Any] = {
    "REMOTE_ADDR": "192.0.2.17",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 "
    "Firefox/140.0",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.5",
    "HTTP_HOST": "example.com",
}
_factory = RequestFactory(**CLIENT)

UNTOUCHED = "anonymous, session untouched"
FORGED = "forged cookie"
READ = "authenticated read"
ACTIVE = "read, activity written"
MODIFY = "authenticated modify"
LOGIN = "login"
LOGOUT = "logout"
SCENARIOS = (UNTOUCHED, FORGED, READ, ACTIVE, MODIFY, LOGIN, LOGOUT)


def request(cookie: str | None = None, user: Any = None) -> HttpRequest:
    """Return a request as a browser of this client sends it."""
    headers: dict[str, Any] = (
        {} if cookie is None else {"HTTP_COOKIE": f"{COOKIE}={cookie}"}
    )
    made: HttpRequest = _factory.get("/", **headers)
    made.user = user
    return made


def untouched(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def read(request: HttpRequest) -> HttpResponse:
    request.session.get(SESSION_KEY)
    return HttpResponse()


def modify(request: HttpRequest) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse()


def sign_in(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    login(request, user, BACKEND)
    request.session.update(CONTENTS)
    return HttpResponse()


def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse()


@dataclass
class Booth:
    """One engine with its handlers and the cookies of signed-in browsers."""

    engine: Engine
    handlers: Mapping[Handler, Handler] = field(init=False)
    cookies: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        views = (untouched, read, modify, sign_in, sign_out)
        self.handlers = {view: self.engine.handler(view) for view in views}

    def sign_in(self, users: Sequence[Any]) -> list[str]:
        """Log users in, one browser each, and return their cookies."""
        with self.engine.chosen():
            responses = [self.handlers[sign_in](request(user=user)) for user in users]
        return [response.cookies[COOKIE].value for response in responses]


def make_users(count: int, prefix: str) -> list[Any]:
    """Return new users, with a password none of them can use."""
    model = get_user_model()
    return model.objects.bulk_create(
        model(username=f"{prefix}{number}", password="!") for number in range(count)
    )


def measure(
    engines: Sequence[Engine], rounds: int, samples: int, say: Callable[[str], None]
) -> Times:
    """Run every scenario in every engine, round by round, in turns."""
    # A write to the user that every engine would pay alike.
    user_logged_in.disconnect(update_last_login, dispatch_uid="update_last_login")
    times = Times()
    residents = make_users(samples, "resident")
    visitors = make_users(samples, "visitor")
    booths = [Booth(engine) for engine in engines]
    for booth in booths:
        booth.cookies = booth.sign_in(residents)
        _round(booth, visitors[:20], Times())  # compiles and connects
    for number, order in turns(rounds, booths):
        say(f"requests: round {number + 1} of {rounds}")
        bare = timed(untouched, [request() for _ in visitors])
        for scenario in SCENARIOS:
            times.add(scenario, BARE, bare)
        for booth in order:
            _round(booth, visitors, times)
        _tidy(engines)
    return times


def _round(booth: Booth, visitors: Sequence[Any], times: Times) -> None:
    engine, label, n = booth.engine, booth.engine.label, len(visitors)
    cookies = booth.cookies[:n]

    def run(scenario: str, view: Handler, requests: list[HttpRequest]) -> None:
        times.add(scenario, label, timed(booth.handlers[view], requests))

    with engine.chosen():
        run(UNTOUCHED, untouched, [request() for _ in cookies])
        length = 40 if engine.is_ours else 32
        alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
        forged = [get_random_string(length, alphabet) for _ in cookies]
        run(FORGED, read, [request(key) for key in forged])
        for key in cookies:
            booth.handlers[read](request(key))  # a cached engine is measured warm
        run(READ, read, [request(key) for key in cookies])
        run(MODIFY, modify, [request(key) for key in cookies])
    # Django's way to let activity extend a session is to save it each time.
    tracking: dict[str, Any] = (
        {"SECURE_SESSIONS": {"TOUCH_INTERVAL": 0}}
        if engine.is_ours
        else {"SESSION_SAVE_EVERY_REQUEST": True}
    )
    with engine.chosen(**tracking):
        run(ACTIVE, read, [request(key) for key in cookies])
    with engine.chosen():
        handler, made = booth.handlers[sign_in], []
        logins = [request(user=user) for user in visitors]
        times.add(LOGIN, label, timed(lambda each: made.append(handler(each)), logins))
        fresh = [response.cookies[COOKIE].value for response in made]
        leaving = [
            request(key, user) for key, user in zip(fresh, visitors, strict=True)
        ]
        run(LOGOUT, sign_out, leaving)


def _tidy(engines: Sequence[Engine]) -> None:
    """Leave the tables as the round found them: nobody pays for another's rows."""
    SessionEvent.objects.all().delete()
    models = {engine.model_class for engine in engines if engine.model}
    for model in models:
        if any(field.name == "ended_at" for field in model._meta.fields):
            model.objects.exclude(ended_at=None).delete()
    with connection.cursor() as cursor:
        for model in (*models, SessionEvent):
            cursor.execute(f"VACUUM {connection.ops.quote_name(model._meta.db_table)}")
