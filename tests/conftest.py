"""Fixtures and markers of the whole suite."""

from __future__ import annotations

from contextvars import copy_context
from datetime import datetime, timezone

import pytest
from _pytest import runner
from django.conf import settings
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests import dumps, emptying
from tests.cached import empty_caches
from tests.factories import UserFactory
from tests.needs import lacking, need

# A busy machine is no fault of the code: neither time is a test's to judge.
hypothesis_settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Skip, with the reason, what is for another database."""
    for item in items:
        wanted = item.get_closest_marker("vendor")
        if wanted and connection.vendor not in wanted.args:
            reason = f"for {', '.join(wanted.args)}; this run is on {connection.vendor}"
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_runtest_setup(item):
    """Skip, or where all is required fail, what this machine cannot serve."""
    if item.get_closest_marker("redis") and not settings.REDIS_ANSWERS:
        lacking(f"no Redis at {settings.REDIS_URL}")
    for marker in item.iter_markers("needs"):
        need(*marker.args)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """
    Run each test in a context of its own.

    Django's handlers of caches and connections leave context variables behind, and
    each step between sync and async goes through them all: late in a run, tests with
    many async requests took ten times as long as at its start.
    """
    return copy_context().run(runner.pytest_runtest_protocol, item, nextitem)


class KeysStaySecret:
    """After each test, search what it stored for every session key it was issued."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        dumps.issued.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item):
        """Search before any fixture takes the rows away, and judge after them all."""
        stores = item.get_closest_marker("django_db") or "db" in item.fixturenames
        is_large = item.get_closest_marker("scale")
        found = dumps.search() if dumps.issued and stores and not is_large else {}
        yield
        assert not found, f"a session key of this test was left: {found}"


def pytest_configure(config):
    dumps.listen()
    emptying.take_over()
    config.pluginmanager.register(KeysStaySecret(), "keys stay secret")


@pytest.fixture(autouse=True)
def _empty_caches():
    """Start each test with caches that remember no other test."""
    yield
    empty_caches()


@pytest.fixture
def clock(time_machine):
    """Stop the clock; `clock.shift(seconds)` moves it."""
    time_machine.move_to(datetime.now(timezone.utc), tick=False)
    return time_machine


@pytest.fixture
def user(db):
    """Return an active user."""
    return UserFactory()
