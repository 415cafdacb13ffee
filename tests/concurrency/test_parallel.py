"""The promises under parallel requests, on whatever database the run is for."""

from __future__ import annotations

import asyncio
from threading import Barrier

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY
from django.db import connection

from django_secure_sessions import lifecycle
from django_secure_sessions.backends.db import SessionStore
from django_secure_sessions.exceptions import SessionEnded
from django_secure_sessions.models import Session, SessionEvent
from tests.cached import cached_engine
from tests.concurrency.threads import PATIENCE, together, watching
from tests.contract.test_previous import DJANGOS, before_the_switch
from tests.contract.test_resurrection import lives, opened
from tests.factories import UserFactory
from tests.visitor import JSON, Visitor

DJANGOS_DB = f"{DJANGOS}.db"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.pages"),
]


CHOOSE = "/account/sessions/choose/"


def many(usual, sqlite):
    """SQLite has one writer at a time, so fewer prove as much there."""
    return sqlite if connection.vendor == "sqlite" else usual


def live_of(user):
    return Session.objects.filter(user=user, ended_at=None)


def enter(user):
    """Log in with a new browser; return the status."""
    return Visitor().get(f"/enter/{user.pk}/").status_code


class TestLogins:
    def test_reject_lets_in_as_many_as_allowed(self, user, settings):
        """Under reject exactly three of many parallel logins get in."""
        settings.SECURE_SESSIONS = {"LIMIT_STRATEGY": "reject"}
        statuses = together(enter, [user] * many(40, 15))

        assert statuses.count(200) == 3
        assert set(statuses) == {200, 403}
        assert live_of(user).count() == 3

    @pytest.mark.parametrize("picks", [[0, 0, 0, 0], [0, 1, 2, 0]], ids=["one", "all"])
    @pytest.mark.parametrize("engine", ["db", "cached_db"])
    def test_ask_lets_in_as_many_as_make_room(self, user, settings, picks, engine):
        """Four choose at once: one gets in for each session, never one too many."""
        settings.SESSION_ENGINE = f"django_secure_sessions.backends.{engine}"
        settings.SECURE_SESSIONS = {"LIMIT_STRATEGY": "ask"}
        for _ in range(3):
            enter(user)
        before = sorted(live_of(user).values_list("pk", flat=True))
        browsers = [Visitor() for _ in picks]
        for browser in browsers:
            assert browser.get(f"/enter/{user.pk}/").status_code == 302

        def choose(number):
            chosen = {"end": str(before[picks[number]])}
            return browsers[number].post(CHOOSE, chosen).status_code

        with watching(lambda: live_of(user).count()) as seen:
            statuses = together(choose, range(4))

        assert statuses.count(302) == len(set(picks))
        assert set(statuses) <= {302, 409}
        assert max(seen) <= 3
        assert live_of(user).count() == 3
        inside = [browser for browser in browsers if browser.user == user.pk]
        assert len(inside) == len(set(picks))

    def test_ask_while_others_log_in(self, user, settings):
        """
        Choices and new logins at once: at no commit more than three.

        A login may be somebody's choice before its own answer is out, and that says so.
        """
        settings.SECURE_SESSIONS = {"LIMIT_STRATEGY": "ask"}

        def act(_number):
            browser = Visitor()
            answer = browser.get(f"/enter/{user.pk}/", **JSON)
            if answer.status_code == 409:
                chosen = {"end": answer.json()["choose"][0]["id"]}
                answer = browser.post(CHOOSE, chosen, **JSON)
            return answer.status_code, answer.status_code == 401 and answer.json()

        with watching(lambda: live_of(user).count()) as seen:
            answers = together(act, range(many(40, 15)))

        assert {status for status, _ in answers} <= {200, 401, 409}
        assert {said["reason"] for _, said in answers if said} <= {"evicted"}
        assert max(seen) <= 3
        assert live_of(user).count() == 3

    def test_users_do_not_wait_for_each_other(self, db):
        """Logins of many users at once all succeed, each user's within the limit."""
        users = UserFactory.create_batch(5)
        statuses = together(enter, users * many(10, 5))

        assert set(statuses) == {200}
        assert [live_of(user).count() for user in users] == [3] * 5

    def test_while_somebody_ends_them(self, user):
        """Logins and "end all" at once neither deadlock nor fail."""

        def act(number):
            return lifecycle.end_all(user) if number % 3 == 0 else enter(user)

        together(act, range(many(60, 20)))
        assert live_of(user).count() <= 3
        lifecycle.end_all(user)

        assert not live_of(user).exists()

    def test_while_the_password_changes(self, user):
        """Logins and saves of their user at once neither deadlock nor fail."""

        def act(number):
            if number % 5:
                return enter(user)
            fresh = type(user).objects.get(pk=user.pk)
            fresh.set_password(str(number))
            fresh.save()
            return 200

        assert set(together(act, range(many(50, 15)))) == {200}
        assert live_of(user).count() <= 3


class TestEveryWrite:
    """1000 writes of 1000 different keys, four at once: all 1000 survive."""

    WRITERS, ROUNDS = range(4), range(250)

    @pytest.fixture(params=["db", "cached_db"])
    def store(self, request, settings):
        if request.param == "db":
            yield SessionStore
        else:
            with cached_engine(settings) as store:
                yield store

    @pytest.fixture
    def key(self, store, user):
        return opened(store, user).session_key

    def assert_all_there(self, store, key):
        expected = {f"{w}-{n}" for w in self.WRITERS for n in self.ROUNDS}
        assert set(store(key).keys()) - {SESSION_KEY} == expected
        assert Session.objects.get().version >= len(expected)

    def test_threads(self, store, key):
        """From threads."""
        ready = Barrier(len(self.WRITERS))

        def write(writer):
            for number in self.ROUNDS:
                session = store(key)
                session.items()
                ready.wait(PATIENCE)
                session[f"{writer}-{number}"] = number
                session.save()

        together(write, self.WRITERS)

        self.assert_all_there(store, key)

    # One engine will do: asave() is the same on both.
    @pytest.mark.parametrize("store", ["cached_db"], indirect=True)
    def test_tasks(self, store, key):
        """From tasks of one event loop: all have loaded before any of them saves."""

        @async_to_sync
        async def save(sessions):
            await asyncio.gather(*(session.asave() for session in sessions))

        for number in self.ROUNDS:
            sessions = [store(key) for _ in self.WRITERS]
            for writer, session in enumerate(sessions):
                session[f"{writer}-{number}"] = number
            save(sessions)

        self.assert_all_there(store, key)


class TestSaves:
    def test_end_beats_every_save(self, user):
        """Whenever the end comes among parallel saves, none brings the session back."""
        for _ in range(10):
            session = opened(SessionStore, user)
            key, pk = session.session_key, session.public_id

            def act(number, key=key, pk=pk):
                if number == 4:
                    return lifecycle.end(pk)
                late = SessionStore(key)
                late[str(number)] = number
                try:
                    late.save()
                except SessionEnded:
                    return False
                return True

            together(act, range(8))
            row = Session.objects.get(pk=pk)
            assert row.end_reason == "revoked"
            assert bytes(row.data) == b""
            assert not lives(SessionStore, key)


class TestMoves:
    """An old cookie comes with many requests at once."""

    def test_one_session(self, user, settings):
        """It moves once, and every request is its user's."""
        old = before_the_switch(user)
        settings.SECURE_SESSIONS = {"PREVIOUS_ENGINE": DJANGOS_DB}

        def come(number):
            browser = Visitor()
            browser.key = old
            return browser.user, browser.key

        seen = together(come, range(many(25, 10)))
        keys = {key for _, key in seen} - {old}

        assert {found for found, _ in seen} == {user.pk}
        assert len(keys) == 1
        assert lives(SessionStore, keys.pop())
        assert Session.objects.count() == 1
        assert SessionEvent.objects.filter(kind="login").count() == 1

    def test_limit(self, user, settings):
        """Of a user's many old sessions no more than allowed are live afterwards."""
        keys = [before_the_switch(user) for _ in range(many(10, 6))]
        settings.SECURE_SESSIONS = {"PREVIOUS_ENGINE": DJANGOS_DB}
        together(lambda key: SessionStore(key).items(), keys)

        assert live_of(user).count() == 3
        assert Session.objects.count() == len(keys)

    def test_while_everybody_is_signed_out(self, user, settings):
        """Whatever the order, after the end the old key opens nothing."""
        old = before_the_switch(user)
        settings.SECURE_SESSIONS = {"PREVIOUS_ENGINE": DJANGOS_DB}
        SessionStore(old).items()

        def act(number):
            return SessionStore(old).items() if number % 2 else lifecycle.end_all(user)

        together(act, range(many(20, 8)))

        assert not SessionStore(old).items()
        assert not live_of(user).exists()


class TestTouches:
    def test_one_write(self, user, clock):
        """Of 40 requests of one tab-happy user one writes the activity."""
        key = opened(SessionStore, user).session_key
        clock.shift(120)
        sessions = [SessionStore(key) for _ in range(40)]
        for session in sessions:
            session.items()

        assert together(lambda session: session.touch(), sessions).count(True) == 1
        late = SessionStore(key)
        late.items()
        assert late.touch() is False


class TestRotations:
    def test_one_session_one_new_key(self, user):
        """Of parallel rotations one gives a key; the others keep what they had."""
        old = opened(SessionStore, user).session_key
        sessions = [SessionStore(old) for _ in range(10)]
        for session in sessions:
            session.items()
        together(lambda session: session.cycle_key(), sessions)
        keys = {session.session_key for session in sessions}

        assert live_of(user).count() == 1
        assert len(keys - {old}) == 1
        assert all(lives(SessionStore, key) for key in keys)
        losers = [session for session in sessions if session.session_key == old]
        assert len(losers) == 9
        assert all(session.by_previous_key for session in losers)

    def test_with_saves_at_once(self, user):
        """A rotation among saves loses none of the data."""
        old = opened(SessionStore, user).session_key
        sessions = [SessionStore(old) for _ in range(9)]
        for number, session in enumerate(sessions):
            session[str(number)] = number

        def act(session):
            if session is sessions[4]:
                session.cycle_key()
            else:
                session.save()

        together(act, sessions)
        data = SessionStore(sessions[4].session_key)

        assert {str(number) for number in range(9)} <= set(data.keys())
