"""What ended stays ended, whichever request was still on its way."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.contrib.auth import SESSION_KEY

from django_secure_sessions import lifecycle
from django_secure_sessions.backends.owning import Proof
from django_secure_sessions.exceptions import SessionEnded
from django_secure_sessions.models import Session
from django_secure_sessions.state import EndReason
from tests.visitor import JSON

pytestmark = pytest.mark.django_db(transaction=True)


def opened(store, user=None, **data):
    """Store a session, of a user or of nobody, and return another look at it."""
    session = store()
    session.update(data)
    if user is not None:
        session[SESSION_KEY] = str(user.pk)
    session.save()
    again = store(session.session_key)
    again.items()
    return again


def lives(store, key):
    """Return whether a session key still opens anything."""
    return bool(store(key).public_id)


ENDS = {
    "revoked": lambda store, session: lifecycle.end(session.public_id),
    "all revoked": lambda store, session: lifecycle.end_all(session.login_user),
    "logged out elsewhere": lambda store, session: store(session.session_key).flush(),
    "deleted by key": lambda store, session: store().delete(session.session_key),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
class TestWriteAfterTheEnd:
    """A request loaded its session; it ended; then the request writes."""

    @pytest.fixture
    def session(self, store, user):
        session = opened(store, user)
        session.login_user = user
        return session

    def test_save_is_refused(self, store, session, end, call):
        """Saving changed data raises SessionEnded and leaves the row ended."""
        session["cart"] = "full"
        end(store, session)

        with pytest.raises(SessionEnded):
            call(session, "save")

        assert not lives(store, session.session_key)
        row = Session.objects.get()
        assert row.ended_at
        assert bytes(row.data) == b""

    def test_cycle_key_is_refused(self, store, session, end, call):
        """Rotating the key, as a password change does, makes no new session."""
        end(store, session)

        with pytest.raises(SessionEnded):
            call(session, "cycle_key")

        assert not lives(store, session.session_key)
        assert Session.objects.count() == 1

    def test_touch_does_nothing(self, store, session, end, call, time_machine):
        """A touch that comes late finds no live row and writes nothing."""
        later = session.created_at.timestamp() + 600
        time_machine.move_to(later, tick=False)
        session = store(session.session_key)
        session.login_user = Session.objects.get().user
        session.items()
        end(store, session)

        assert call(session, "touch") is False

        row = Session.objects.get()
        assert row.ended_at
        assert row.last_activity.timestamp() < later

    def test_second_end_changes_nothing(self, store, session, end, call):
        """Deleting what ended already keeps the first reason and time."""
        end(store, session)
        before = Session.objects.values("ended_at", "end_reason").get()

        call(session, "delete")

        assert Session.objects.values("ended_at", "end_reason").get() == before


@pytest.mark.parametrize("handler", ["wsgi", "asgi"])
class TestPasswordChangeAfterTheEnd:
    """A request loaded its session; it ended; then the request changes the password."""

    def change(self, browser, **headers):
        page = f"/{'a' * browser.asgi}end-and-change-password/"
        return browser.get(page, **headers)

    def test_script(self, visitor, user, handler):
        """A client of JSON gets a 401 that says why, and no session is left."""
        browser = visitor()
        browser.enter(user)
        response = self.change(browser, **JSON)

        assert response.status_code == 401
        assert response.json()["error"] == "session_ended"
        assert not Session.objects.filter(ended_at=None).exists()
        assert browser.user is None

    def test_browser(self, visitor, user, handler):
        """A browser is led to the login page, and no session is left either."""
        browser = visitor()
        browser.enter(user)
        response = self.change(browser)

        assert response.status_code == 302
        assert response.url.startswith("/login/")
        assert not Session.objects.filter(ended_at=None).exists()
        assert browser.user is None


class TestSecurityFacts:
    """A slow request holds what it loaded; meanwhile a security fact changes."""

    @pytest.fixture
    def strong(self, store, user):
        session = opened(store, user)
        session.elevate(Proof(2, "pwd otp mfa"))
        return session

    def save_late(self, slow, call):
        with suppress(SessionEnded):
            slow["cart"] = "full"
            call(slow, "save")
        return Session.objects.get()

    def test_lost_level(self, store, strong, call):
        """An old dictionary does not bring a second factor back that was taken away."""
        slow = store(strong.session_key)
        slow.items()
        Session.objects.update(aal=1, amr="pwd")
        row = self.save_late(slow, call)

        assert (row.aal, row.amr) == (1, "pwd")

    def test_new_proof(self, store, strong, call):
        """Nor does it after the user proved less in another request."""
        slow = store(strong.session_key)
        slow.items()
        strong.elevate(Proof(1, "pwd"))
        row = self.save_late(slow, call)

        assert (row.aal, row.amr) == (1, "pwd")
        assert not lives(store, slow.session_key)

    def test_login_that_waited(self, store, user, call):
        """A dictionary from before a logout logs nobody in again."""
        slow = opened(store, user)
        other = store(slow.session_key)
        del other[SESSION_KEY]
        other.save()
        row = self.save_late(slow, call)

        assert row.user is None


class TestAnonymous:
    def test_deleted_session_stays_deleted(self, store, call):
        """A save after the flush of another request inserts nothing."""
        session = opened(store, cart="full")
        session["cart"] = "fuller"
        store(session.session_key).flush()

        with pytest.raises(SessionEnded):
            call(session, "save")

        assert not Session.objects.exists()

    def test_dead_key_gets_a_row_of_its_own_name_never_again(self, store, call):
        """What is saved after a look at a dead key lives under another key."""
        session = opened(store, cart="full")
        dead = session.session_key
        session.flush()
        late = store(dead)
        late["cart"] = "late"
        call(late, "save")

        assert late.session_key != dead
        assert not lives(store, dead)

    def test_unread_dead_session_is_not_written(self, store, call):
        """Replacing the data of a dead session without reading it is refused."""
        session = opened(store, cart="full")
        dead = session.session_key
        session.flush()
        late = store(dead)
        late.clear()
        late["cart"] = "late"

        with pytest.raises(SessionEnded):
            call(late, "save")

        assert not Session.objects.exists()


class TestReasons:
    def test_refusal_names_the_reason(self, store, user, call):
        """The error tells a view why its session ended."""
        session = opened(store, user)
        session["cart"] = "full"
        lifecycle.end(session.public_id, reason=EndReason.REVOKED)

        with pytest.raises(SessionEnded) as refused:
            call(session, "save")

        assert refused.value.reason == "revoked"

    def test_ended_session_tells_why(self, store, user):
        """The key of an ended session opens no data, and says what became of it."""
        session = opened(store, user)
        lifecycle.end(session.public_id, reason=EndReason.REVOKED)
        late = store(session.session_key)

        assert late.ended.reason == "revoked"
        assert late.ended.id == session.public_id
        assert dict(late.items()) == {}
        assert late.user_id is None
