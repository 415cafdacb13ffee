"""How the engine deals with a cache that fails, without a cache or a wait."""

from __future__ import annotations

import pytest

from django_secure_sessions.backends import copies as copies_module
from django_secure_sessions.backends.copies import PAUSE, Copies
from django_secure_sessions.backends.entries import ENDED


class Cache:
    """A cache that breaks on demand, and counts how often it is asked."""

    def __init__(self):
        self.values, self.broken, self.asked = {}, False, 0

    def _ask(self):
        self.asked += 1
        if self.broken:
            raise ConnectionError

    def get_many(self, keys):
        self._ask()
        return {key: self.values[key] for key in keys if key in self.values}

    def set(self, key, value, ttl):
        self._ask()
        self.values[key] = value

    def set_many(self, values, ttl):
        self._ask()
        self.values |= values
        return []

    def add(self, key, value, ttl):
        self._ask()
        return self.values.setdefault(key, value) is value


class Monotonic:
    """A clock for `copies` alone."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def cache():
    return Cache()


@pytest.fixture
def time(monkeypatch):
    time = Monotonic()
    monkeypatch.setattr(copies_module, "time", time)
    return time


@pytest.fixture
def copies(cache, time, monkeypatch):
    monkeypatch.setattr(copies_module, "caches", {"sessions": cache})
    return Copies("sessions")


def test_failure_is_no_miss(copies, cache):
    """A cache that fails is told apart from one that has nothing."""
    assert copies.get(["a"]) == {}
    cache.broken = True
    assert copies.get(["a"]) is None


def test_pause_after_a_failure(copies, cache, time):
    """For some seconds after a failure the cache is not asked, then once."""
    cache.broken = True
    copies.get(["a"])
    asked = cache.asked
    for _ in range(10):
        assert copies.get(["a"]) is None
    assert cache.asked == asked

    time.now += PAUSE
    copies.get(["a"])
    copies.get(["a"])
    assert cache.asked == asked + 1


def test_recovery(copies, cache, time):
    """The first answer ends the pause for everybody."""
    cache.broken = True
    copies.get(["a"])
    cache.broken = False
    time.now += PAUSE

    assert copies.get(["a"]) == {}
    assert copies.get(["a"]) == {}


def test_urgent_ignores_the_pause(copies, cache):
    """An end is sent even if the cache failed a moment ago."""
    cache.broken = True
    copies.get(["a"])
    cache.broken = False

    assert copies.put({"a": ENDED}, 60, urgent=True)
    assert cache.values == {"a": ENDED}


def test_debt_is_paid_before_anything_is_read(copies, cache, time):
    """What could not be overwritten is void before the next read."""
    cache.values["a"] = b"old"
    cache.broken = True
    assert not copies.put({"a": b"new"}, 60)
    cache.broken = False
    time.now += PAUSE

    assert copies.get(["a"]) == {"a": ENDED}


def test_debt_is_kept_while_the_cache_is_gone(copies, cache, time):
    """A failed attempt to pay forgets nothing."""
    cache.values["a"] = b"old"
    cache.broken = True
    copies.put({"a": b"new"}, 60)
    time.now += PAUSE
    assert copies.get(["a"]) is None
    cache.broken = False
    time.now += PAUSE

    assert copies.get(["a"]) == {"a": ENDED}


def test_debt_lapses(copies, cache, time):
    """What would be void by now anyway is not sent any more."""
    cache.broken = True
    copies.put({"a": b"new"}, 60)
    cache.broken = False
    cache.values["a"] = b"newer"
    time.now += 61

    assert copies.get(["a"]) == {"a": b"newer"}


def test_later_success_settles_the_debt(copies, cache, time):
    """A value that was written after all is not overwritten."""
    cache.broken = True
    copies.put({"a": b"new"}, 60)
    cache.broken = False
    copies.put({"a": b"newer"}, 60, urgent=True)
    time.now += PAUSE

    assert copies.get(["a"]) == {"a": b"newer"}


def test_debt_is_bounded(copies, cache, time, monkeypatch):
    """An outage can't fill the memory: the oldest debts are let go."""
    monkeypatch.setattr(copies_module, "MOST_OWED", 3)
    cache.broken = True
    for number in range(10):
        copies.put({f"k{number}": b"x"}, 600)
    cache.broken = False
    time.now += PAUSE
    copies.get(["a"])

    assert set(cache.values) == {"k7", "k8", "k9"}


def test_log_once_a_minute(copies, cache, time, caplog):
    """A failing cache makes one line a minute, whoever asks."""
    cache.broken = True
    for _ in range(125):
        copies.get(["a"])
        time.now += 1

    assert len(caplog.records) == 3
