"""The key in the cookie exists nowhere else: not in any table, cache, log or page."""

from __future__ import annotations

import hashlib
import logging
import pickle
import re
from contextlib import ExitStack
from uuid import UUID

import pytest
from django.contrib.auth import signals as auth_signals
from django.core.cache import caches
from django.dispatch import Signal
from django.urls import reverse

from django_secure_sessions import crypto, signals
from django_secure_sessions.models import Session, SessionEvent
from tests.contract.test_resurrection import opened
from tests.dumps import cache_dump, database_dump, found_in
from tests.factories import PASSWORD
from tests.hearing import connected
from tests.visitor import JSON, Visitor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.pages"),
    pytest.mark.usefixtures("engine"),
]

SECRET_DATUM = "what the visitor put into the cart"


@pytest.fixture
def heard():
    """Everything that our signals, and Django's about logins, tell."""
    told = []
    ours = [value for value in vars(signals).values() if isinstance(value, Signal)]
    listened = [*ours, auth_signals.user_login_failed]

    def listen(signal, **kwargs):
        kwargs.pop("sender", None)
        kwargs.pop("request", None)
        told.append(repr({name: explained(value) for name, value in kwargs.items()}))

    with ExitStack() as stack:
        for signal in listened:
            stack.enter_context(connected(signal, listen))
        yield told


def explained(value):
    return vars(value) if hasattr(value, "__dict__") else value


@pytest.fixture
def story(user, caplog, heard):
    """Live a session's whole life, and return every key that was issued in it."""
    caplog.set_level(logging.DEBUG)
    user.is_staff = user.is_superuser = True
    user.save()
    keys, pages = [], []
    first, second = Visitor(), Visitor()

    def visit(browser, path, data=None, **headers):
        response = (
            browser.get(path, **headers)
            if data is None
            else browser.post(path, data, **headers)
        )
        if browser.key and browser.key not in keys:
            keys.append(browser.key)
        pages.append((path, response.content))
        pages.append((path, str(response.headers).encode()))

    visit(first, f"/put/cart/{SECRET_DATUM}/")
    visit(first, "/login/", {"username": user.username, "password": "wrong"})
    visit(first, "/login/", {"username": user.username, "password": PASSWORD})
    visit(first, "/rotate/")
    visit(second, f"/enter/{user.pk}/")
    visit(second, f"/enter/{user.pk}/")
    for name in ("session_list", "api_sessions", "api_status"):
        visit(first, reverse(f"secure_sessions:{name}"))
        visit(first, reverse(f"secure_sessions:{name}"), **JSON)
    session_id = Session.objects.filter(ended_at=None).first().pk
    for path in (
        reverse("admin:django_secure_sessions_session_changelist"),
        reverse("admin:django_secure_sessions_session_change", args=[session_id]),
        reverse("admin:django_secure_sessions_sessionevent_changelist"),
    ):
        visit(first, path)
    visit(second, "/change-password/")
    visit(first, "/private/")
    visit(second, "/leave/")
    visit(first, f"/put/cart/{SECRET_DATUM}/")
    visit(first, f"/enter/{user.pk}/")
    assert len(keys) >= 7
    assert all(crypto.resolve(key) for key in keys)
    return keys, pages


def test_database(story):
    """No column of any table holds a key, or what any site could make of one."""
    dump = database_dump()

    assert str(Session.objects.first().pk).replace("-", "") in re.sub(
        r"-", "", dump.decode("utf-8", "replace")
    )
    assert found_in(dump, story[0]) == []
    assert SECRET_DATUM.encode() not in dump


def test_cache(story, engine):
    """Neither does any key or value of a cache."""
    dump = cache_dump()

    assert dump or engine == "db"
    assert found_in(dump, story[0]) == []
    assert SECRET_DATUM.encode() not in dump


def test_log(story, caplog):
    """At the lowest level, no line of any logger repeats a key or a password."""
    records = caplog.get_records("setup")
    text = "\n".join(record.getMessage() for record in records).encode()

    assert b"kind=login" in text
    assert found_in(text, story[0]) == []
    assert PASSWORD.encode() not in text


def test_pages(story):
    """No page, no JSON and no address repeats a key or a digest of one."""
    keys, pages = story
    digests = [str(crypto.resolve(key).digest) for key in keys]
    digests += [digest.replace("-", "") for digest in digests]

    assert len(pages) > 20
    for path, content in pages:
        without_cookie = re.sub(rb"Set-Cookie[^\n]*", b"", content)
        assert not found_in(without_cookie, keys), path
        assert not [d for d in digests if d.encode() in without_cookie], path


def test_signals(story, heard):
    """Receivers are told public ids."""
    text = "\n".join(heard).encode()

    assert len(heard) > 5
    assert found_in(text, story[0]) == []


def test_audit(story):
    """The audit trail was written, and holds none of it."""
    rows = repr(list(SessionEvent.objects.values())).encode()

    assert {"login", "login_failed", "logout"} <= set(
        SessionEvent.objects.values_list("kind", flat=True)
    )
    assert found_in(rows, story[0]) == []


@pytest.mark.parametrize("show", [repr, str, "{}".format], ids=["repr", "str", "{}"])
def test_objects(store, user, show):
    """What a traceback or a print shows of our objects names no key."""
    session = opened(store, user)
    row = Session.objects.get()
    key = session.session_key
    credential = crypto.resolve(key)
    shown = "".join(show(thing) for thing in (session, row, credential, row.pk))

    assert found_in(shown.encode(), [key]) == []


def test_forged_row_opens_nothing(store, user):
    """Who can write the table, but lacks the site's secret, mints no session."""
    row = Session.objects.get(pk=opened(store, user).public_id)
    chosen = "a" * crypto.KEY_LENGTH
    for name in ("md5", "sha1", "sha256"):
        digest = UUID(bytes=hashlib.new(name, chosen.encode()).digest()[:16], version=4)
        Session.objects.filter(pk=row.pk).update(key_digest=digest)

        assert store(chosen).public_id is None
        assert store(digest.hex).public_id is None


def test_pickled_row_is_never_run(store, user):
    """A pickle in place of a payload is bytes that do not open."""
    session = opened(store, user)

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    Session.objects.update(data=pickle.dumps(Bomb()))
    for cache in caches.all():
        cache.clear()

    assert store(session.session_key).public_id is None
