"""A key is replaced in place; the key before it has a short and narrow afterlife."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError

from django_secure_sessions import crypto
from django_secure_sessions.backends.owning import Proof
from django_secure_sessions.models import Session
from tests.contract.test_resurrection import lives, opened

pytestmark = pytest.mark.django_db(transaction=True)

GRACE = timedelta(seconds=30)


def test_keys_that_are_taken(store, call, monkeypatch):
    """Were each new key taken, a create would give up after three."""
    taken = opened(store, cart="full").session_key
    tried = []

    def same():
        tried.append(taken)
        return taken

    monkeypatch.setattr(crypto, "new_session_key", same)
    with pytest.raises(CreateError, match="three"):
        call(store(), "create")

    assert len(tried) == 3
    assert store(taken)["cart"] == "full"


class TestInPlace:
    def test_same_row_and_data(self, store, user, call):
        """Rotation keeps row, data and facts: only the key differs."""
        session = opened(store, user, cart="full")
        before = Session.objects.get()
        old = session.session_key

        call(session, "cycle_key")

        after = Session.objects.get()
        assert session.session_key != old
        assert (after.pk, after.created_at) == (before.pk, before.created_at)
        again = store(session.session_key)
        assert (again["cart"], again.user_id) == ("full", user.pk)

    def test_unsaved_changes_go_along(self, store, user, call):
        """What was set before the rotation is stored with it."""
        session = opened(store, user)
        session["cart"] = "full"

        call(session, "cycle_key")

        assert store(session.session_key)["cart"] == "full"

    def test_parallel_rotations_leave_one_session(self, store, user, call):
        """Of two rotations of one key the row survives once, for one user."""
        first = opened(store, user)
        second = store(first.session_key)
        second.items()

        call(first, "cycle_key")
        call(second, "cycle_key")

        assert Session.objects.filter(ended_at=None).count() == 1
        assert lives(store, first.session_key)

    def test_nothing_stored_is_inserted_once(self, store, call):
        """A rotation before the first save costs no row of its own."""
        session = store()
        call(session, "cycle_key")
        assert not Session.objects.exists()
        session["cart"] = "full"
        call(session, "save")

        assert Session.objects.count() == 1
        assert store(session.session_key)["cart"] == "full"


class TestGrace:
    @pytest.fixture
    def rotated(self, store, user, time_machine):
        """Return the old key, the new key and what moves the time after it."""
        time_machine.move_to("2030-01-01 12:00", tick=False)
        session = opened(store, user, cart="full")
        old = session.session_key
        session.cycle_key()
        return old, session.session_key

    def test_old_key_loads_for_a_while(self, store, rotated, time_machine):
        """Requests already on their way still see their session."""
        old, _ = rotated
        time_machine.shift(GRACE)

        assert store(old)["cart"] == "full"

    def test_old_key_dies_after_it(self, store, rotated, time_machine):
        """Past the grace the old key opens nothing, and the new one all."""
        old, new = rotated
        time_machine.shift(GRACE + timedelta(microseconds=1))

        assert not lives(store, old)
        assert lives(store, new)

    def test_no_grace_at_all(self, store, rotated, settings, time_machine):
        """ROTATION_GRACE = 0 ends the old key at once."""
        settings.SECURE_SESSIONS = {"ROTATION_GRACE": 0}
        time_machine.shift(timedelta(microseconds=1))

        assert not lives(store, rotated[0])

    def test_save_through_the_old_key(self, store, rotated, call):
        """Data written by a late request reaches the session."""
        old, new = rotated
        late = store(old)
        late["seen"] = "late"
        call(late, "save")

        assert store(new)["seen"] == "late"
        assert late.session_key == old

    def test_old_key_cannot_rotate(self, store, rotated, call):
        """A late rotation gives nobody a key: the browser has its new one."""
        old, new = rotated
        late = store(old)
        late.items()
        call(late, "cycle_key")

        assert late.session_key == old
        assert lives(store, new)

    @pytest.mark.parametrize("raise_privilege", ["elevate", "login"])
    def test_privilege_ends_it(self, store, user, time_machine, call, raise_privilege):
        """A login or a step-up takes every key before it out of use."""
        before_login = raise_privilege == "login"
        session = opened(store, None if before_login else user)
        old = session.session_key
        call(session, "cycle_key")
        between = session.session_key
        if before_login:
            session[SESSION_KEY] = str(user.pk)
            call(session, "save")
        else:
            call(session, "elevate", Proof(2, "pwd otp"))

        assert not lives(store, old)
        if not before_login:
            assert not lives(store, between)
        assert lives(store, session.session_key)

    def test_login_through_the_old_key_gets_a_new_one(self, store, user, call):
        """Whoever made the rotation does not share in the login of another."""
        session = opened(store, cart="full")
        old = session.session_key
        call(session, "cycle_key")
        planted = session.session_key
        victim = store(old)
        victim.items()
        call(victim, "cycle_key")  # as django.contrib.auth.login() does
        victim[SESSION_KEY] = str(user.pk)
        call(victim, "save")

        assert not lives(store, old)
        assert not lives(store, planted)
        assert store(victim.session_key).user_id == user.pk
        assert not victim.by_previous_key

    def test_damaged_bridge_is_no_error(self, store, rotated, caplog):
        """Bytes that do not lead from the old key to the new open nothing."""
        Session.objects.update(previous_seal=b"damaged")

        assert not lives(store, rotated[0])


class TestSecretKeyRotation:
    @pytest.fixture
    def session(self, store, user, settings):
        """A session from the time of another SECRET_KEY."""
        session = opened(store, user, cart="full")
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "the next key of the tests, as harmless as the first"
        return session

    def test_session_survives(self, store, session):
        """A fallback of SECRET_KEY vouches for the keys of its time."""
        assert store(session.session_key)["cart"] == "full"

    def test_next_write_moves_to_the_new_key(self, store, session, settings, call):
        """After one write the session no longer needs the fallback."""
        again = store(session.session_key)
        again["cart"] = "fuller"
        call(again, "save")
        settings.SECRET_KEY_FALLBACKS = []

        assert crypto.resolve(again.session_key).current
        assert store(again.session_key)["cart"] == "fuller"

    def test_without_fallback_it_is_unknown(self, store, session, settings):
        """Dropping the fallback ends what was not written since."""
        settings.SECRET_KEY_FALLBACKS = []

        assert not lives(store, session.session_key)


class TestElevation:
    def test_both_clocks_start_again(self, store, user, time_machine, call):
        """Signing in again late in the day gives a full day from then on."""
        time_machine.move_to("2030-01-01 08:00", tick=False)
        session = opened(store, user)
        for _ in range(47):
            time_machine.shift(timedelta(minutes=15))
            session = store(session.session_key)
            session["seen"] = str(_)
            session.save()
        assert session.public_id
        call(session, "elevate", Proof(1, "pwd"))
        for _ in range(5):
            time_machine.shift(timedelta(minutes=15))
            session = store(session.session_key)
            session.items()
            session.touch()

        assert session.public_id

    def test_facts_tell_the_proof(self, store, user, call):
        """Level and methods of the latest authentication are on the row."""
        session = opened(store, user)
        call(session, "elevate", Proof(2, "pwd otp"))
        again = store(session.session_key)

        assert (again.aal, again.amr) == (2, ("pwd", "otp"))


def test_browser_gets_the_new_key(visitor, user):
    """A view that only rotates the key sends the new one to its browser."""
    browser = visitor()
    browser.enter(user)
    old = browser.key
    browser.get("/rotate/")

    assert browser.key not in (old, None)
    assert browser.user == user.pk


def test_late_response_leaves_the_cookie_alone(visitor, user):
    """A response to the old key neither sets nor deletes what the browser has."""
    browser, late = visitor(), visitor()
    browser.enter(user)
    late.key = browser.key
    browser.get("/rotate/")

    for path in ("/show/", "/put/cart/full/", "/rotate/", "/status/404/"):
        response = late.get(path)
        assert not response.cookies
        assert "Cookie" in response["Vary"]
    assert browser.data == {"cart": "full"}
