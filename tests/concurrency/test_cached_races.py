"""Races between the database and its copies, with real threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.db import connection
from django.utils import timezone

from django_secure_sessions import crypto, lifecycle
from django_secure_sessions.backends import cached_db, entries
from django_secure_sessions.backends.copies import Copies
from django_secure_sessions.conf import conf
from django_secure_sessions.exceptions import SessionEnded
from django_secure_sessions.models import Session
from tests.cached import cached_engine, lapse, opened, reopened
from tests.concurrency.threads import THREADS, together

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.redis,
    pytest.mark.vendor("postgresql", "mysql"),
]

PATIENCE = 20  # seconds; only a fault waits that long


@pytest.fixture
def store(settings):
    with cached_engine(settings) as store:
        yield store


class Gate:
    """A place in the code where one thread stops until the test lets it on."""

    def __init__(self):
        self.reached, self.opened = threading.Event(), threading.Event()

    def stop_here(self):
        self.reached.set()
        assert self.opened.wait(PATIENCE)

    def wait(self):
        assert self.reached.wait(PATIENCE)


@contextmanager
def stopped(monkeypatch, place, name, work):
    """Run `work` in a thread that stops before it calls `place.name`.

    The block runs meanwhile; the thread goes on when the block is done.
    """
    gate, original = Gate(), getattr(place, name)
    owner = []

    def stop_and_go(*args, **kwargs):
        if threading.get_ident() in owner and not gate.reached.is_set():
            gate.stop_here()
        return original(*args, **kwargs)

    def run():
        owner.append(threading.get_ident())
        try:
            return work()
        finally:
            connection.close()

    monkeypatch.setattr(place, name, stop_and_go)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        try:
            gate.wait()
            yield future
        finally:
            gate.opened.set()
    monkeypatch.setattr(place, name, original)


def expire_row():
    row = Session.objects.get()
    row.expires_at = timezone.now() - timedelta(seconds=1)
    row.save()


ENDS = {
    "revoke": lambda session, user: lifecycle.end(session.public_id),
    "revoke all": lambda session, user: lifecycle.end_all(user),
    "bulk delete": lambda session, user: Session.objects.all().delete(),
    "expiry moved back": lambda session, user: expire_row(),
    "user cascade": lambda session, user: user.delete(),
    "users cascade": lambda session, user: get_user_model().objects.all().delete(),
}
ends = pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)


@ends
class TestEndMeanwhile:
    def test_late_fill(self, store, user, end, monkeypatch):
        """A reader that stalls between database and cache brings nothing back."""
        session = opened(store, user)
        lapse(session)
        key = session.session_key

        with stopped(monkeypatch, cached_db, "_fill", lambda: reopened(store, key)):
            end(session, user)

        assert reopened(store, key).user_id is None

    def test_save_reaches_the_cache_late(self, store, user, end, monkeypatch):
        """A save that stalls after its UPDATE brings nothing back."""
        session = opened(store, user)
        key = session.session_key

        def save():
            slow = reopened(store, key)
            slow["cart"] = "full"
            slow.save()

        with stopped(monkeypatch, Copies, "put", save):
            end(session, user)

        assert reopened(store, key).user_id is None

    def test_touch_reaches_the_cache_late(self, store, user, end, monkeypatch):
        """A touch that stalls after its UPDATE brings nothing back."""
        session = opened(store, user)
        key = session.session_key
        Session.objects.update(last_activity=timezone.now() - timedelta(minutes=5))
        lapse(session)

        with stopped(
            monkeypatch, Copies, "refresh", lambda: reopened(store, key).touch()
        ) as touching:
            end(session, user)

        assert touching.result()
        assert reopened(store, key).user_id is None

    def test_readers_in_parallel(self, store, user, end):
        """Whoever reads after an end finds it ended, however many read meanwhile."""
        session = opened(store, user)
        key = session.session_key
        ended = threading.Event()
        wrong = []

        def read():
            try:
                while not ended.is_set():
                    reopened(store, key)
                wrong.extend(
                    1 for _ in range(5) if reopened(store, key).user_id is not None
                )
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            readers = [pool.submit(read) for _ in range(8)]
            lapse(session)
            end(session, user)
            ended.set()
            for reader in readers:
                reader.result()

        assert not wrong


def in_thread(work):
    """Run `work` in a thread of its own, with its own connections."""

    def run():
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


# An expiry that was moved back leaves the row to whoever loads it next.
at_once = [name for name in ENDS if name != "expiry moved back"]


@pytest.mark.parametrize("end", [ENDS[name] for name in at_once], ids=at_once)
class TestWriteAfterTheEnd:
    def test_save_after_the_end(self, store, user, end):
        """A request that loaded before the end can't save after it."""
        session = opened(store, user)
        key = session.session_key
        slow = reopened(store, key)
        end(session, user)

        slow["cart"] = "full"
        with pytest.raises(SessionEnded):
            in_thread(slow.save)

        assert reopened(store, key).user_id is None

    def test_cycle_key_after_the_end(self, store, user, end):
        """Nor can it take the session on under a new key."""
        session = opened(store, user)
        slow = reopened(store, session.session_key)
        end(session, user)

        with pytest.raises(SessionEnded):
            in_thread(slow.cycle_key)

        assert reopened(store, session.session_key).user_id is None
        assert reopened(store, slow.session_key).user_id is None


class TestRotationMeanwhile:
    def test_late_fill_under_the_old_key(self, store, user, monkeypatch):
        """A privileged rotation closes the old key to a late fill as well."""
        session = opened(store, user)
        lapse(session)
        old = session.session_key

        with stopped(monkeypatch, cached_db, "_fill", lambda: reopened(store, old)):
            session.elevate(session.proof)

        assert reopened(store, old).user_id is None
        assert reopened(store, session.session_key).user_id == user.pk

    def test_login_closes_the_anonymous_key(self, store, user, monkeypatch):
        """What was anonymous at a stalled read is not anonymous again after it."""
        session = opened(store, cart="full")
        lapse(session)
        old = session.session_key

        with stopped(monkeypatch, cached_db, "_fill", lambda: reopened(store, old)):
            session["_auth_user_id"] = str(user.pk)
            session.save()

        assert "cart" not in reopened(store, old)
        assert reopened(store, session.session_key).user_id == user.pk


class TestSavesMeanwhile:
    def test_late_fill_does_not_hide_a_save(self, store, user, monkeypatch):
        """A fill with the row from before a save gives way to the save's copy."""
        session = opened(store, user, cart="full")
        lapse(session)
        key = session.session_key

        with stopped(monkeypatch, cached_db, "_fill", lambda: reopened(store, key)):
            session["cart"] = "empty"
            session.save()

        assert reopened(store, key)["cart"] == "empty"

    def test_overtaken_save_does_not_hide_the_later_one(self, store, user, monkeypatch):
        """Of two saves at once, the copy of the earlier may come last."""
        key = opened(store, user, n=0).session_key
        first, second = (reopened(store, key) for _ in range(2))
        first["first"] = second["second"] = True

        with stopped(monkeypatch, Copies, "put", first.save):
            second.save()

        again = reopened(store, key)
        assert again["first"]
        assert again["second"]

    def test_parallel_saves_all_show(self, store, user):
        """Twenty requests write a key each; the next read has them all."""
        key = opened(store, user).session_key
        start = threading.Barrier(20)

        def save(number):
            try:
                session = reopened(store, key)
                session[f"n{number}"] = number
                start.wait(PATIENCE)
                session.save()
            finally:
                connection.close()

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(save, range(20)))

        again = reopened(store, key)
        assert {f"n{n}" for n in range(20)} <= set(again.keys())


def test_stalled_fill_is_dead_on_arrival(store, user, monkeypatch):
    """A fill that takes longer than CACHE_TTL is not sent."""
    session = opened(store, user)
    lapse(session)
    slow = conf.cache_ttl.total_seconds()
    monkeypatch.setattr(cached_db, "monotonic", iter([0.0, slow]).__next__)

    reopened(store, session.session_key)

    key = entries.keys_of(crypto.resolve(session.session_key).digest).entry
    assert caches["sessions"].get(key) is None


def test_stampede_fills_once(store, user, monkeypatch):
    """Of 200 reads after a loss, many of them misses at once, one fills the cache."""
    session = opened(store, user, cart="full")
    lapse(session)
    fills, add = [], Copies.add

    def counted(*args):
        fills.append(add(*args))
        return fills[-1]

    monkeypatch.setattr(Copies, "add", counted)
    reads = together(lambda _: reopened(store, session.session_key)["cart"], range(200))

    assert reads == ["full"] * 200
    assert fills.count(True) == 1
    assert len(fills) <= THREADS
