"""The search that follows each test finds a session key wherever one was left."""

from __future__ import annotations

import base64
import hashlib

import pytest
from django.core.cache import caches

from django_secure_sessions import crypto
from django_secure_sessions.models import Session, SessionEvent
from tests import dumps
from tests.factories import EventFactory, SessionFactory, SessionRowFactory

FORMS = {
    "whole": lambda key: key,
    "without its MAC": lambda key: key[:32],
    "within text": lambda key: f"key={key};",
    "hashed without a secret": lambda key: hashlib.sha256(key.encode()).hexdigest(),
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "in hex": lambda key: key.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.django_db
class TestTables:
    def test_text(self, form):
        """A column of text."""
        EventFactory(user_agent=form(crypto.new_session_key()))

        assert dumps.search().keys() == {"database"}
        SessionEvent.objects.all().delete()
        assert dumps.search() == {}

    def test_bytes(self, form):
        """A column of bytes."""
        SessionRowFactory(data=form(crypto.new_session_key()).encode())

        assert dumps.search().keys() == {"database"}
        Session.objects.all().delete()
        assert dumps.search() == {}


@pytest.mark.parametrize(
    "alias", ["default", pytest.param("sessions", marks=pytest.mark.redis)]
)
@pytest.mark.parametrize("value", [True, False], ids=["value", "name"])
@pytest.mark.django_db
def test_caches(alias, value):
    """A value, or a name, in a cache."""
    key = crypto.new_session_key()
    name, held = ("name", key) if value else (key, "held")
    caches[alias].set(name, held.encode())

    assert dumps.search().keys() == {"cache"}
    caches[alias].delete(name)
    assert dumps.search() == {}


@pytest.mark.django_db
def test_every_key_is_noted():
    """Whatever makes a session, its key is among those that are searched for."""
    session = SessionFactory()
    first = session.session_key
    session.cycle_key()

    assert {first, session.session_key} <= set(dumps.issued)


def test_only_of_this_test():
    """The keys of other tests are forgotten: their rows are gone."""
    assert dumps.issued == []


@pytest.mark.django_db
def test_a_test_that_leaves_a_key_fails(request):
    """The hook behind each test raises what it found."""
    hook = request.config.pluginmanager.get_plugin("keys stay secret")
    event = EventFactory(username=crypto.new_session_key())
    after = hook.pytest_runtest_teardown(request.node)
    next(after)
    event.delete()

    with pytest.raises(AssertionError, match="database"):
        next(after)
