"""The engines under test, and the two ways to call them."""

from __future__ import annotations

from importlib import import_module

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError

from django_secure_sessions import events
from tests.django_suites.run import ENGINES
from tests.visitor import Visitor


@pytest.fixture(params=ENGINES)
def engine(request, settings):
    """Put an engine of ours into use and return its name."""
    settings.SESSION_ENGINE = f"django_secure_sessions.backends.{request.param}"
    return request.param


@pytest.fixture
def store(engine, settings):
    """Return the class of the engine in use."""
    return import_module(settings.SESSION_ENGINE).SessionStore


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Return what calls a method of a store: itself, or its async twin."""
    if request.param == "sync":
        return lambda session, name, *args: getattr(session, name)(*args)
    return lambda session, name, *args: async_to_sync(getattr(session, f"a{name}"))(
        *args
    )


@pytest.fixture
def handler(engine):
    """Return which of Django's handlers serves: engines take turns with them."""
    return ("wsgi", "asgi")[ENGINES.index(engine) % 2]


@pytest.fixture
def visitor(handler, settings):
    """Return what makes visitors: browsers on the engine and handler in use."""
    settings.ROOT_URLCONF = "tests.pages"
    return lambda: Visitor(asgi=handler == "asgi")


@pytest.fixture
def deadlocks(monkeypatch):
    """Make the next transactions that write events lose a deadlock, after all else."""
    left = []
    record = events.record

    class Cause(Exception):
        sqlstate = "40P01"

    def losing(built):
        if left:
            left.pop()
            raise OperationalError("deadlock detected") from Cause()
        return record(built)

    monkeypatch.setattr(events, "record", losing)
    return left
