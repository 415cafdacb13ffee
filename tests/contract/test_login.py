"""Every way in binds the session to its user, and makes room for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY
from django.db.models import F
from django.test import AsyncClient, Client

from django_secure_sessions import lifecycle
from django_secure_sessions.exceptions import SessionLimitReached
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.signals import session_authenticated
from django_secure_sessions.state import LimitStrategy, Rules
from tests.contract.test_resurrection import lives, opened
from tests.factories import PASSWORD, UserFactory
from tests.hearing import heard
from tests.visitor import JSON, Visitor

pytestmark = pytest.mark.django_db(transaction=True)


def live_ids(user):
    return {row.id for row in lifecycle.live_sessions(user)}


def reasons(user):
    """Return the reasons why sessions of a user ended, oldest first."""
    ended = Session.objects.for_user(user).ended().order_by("created_at")
    return list(ended.values_list("end_reason", flat=True))


class TestDoors:
    def test_login_page(self, visitor, user):
        """A login on Django's page names the user, the address and the browser."""
        browser = visitor()
        browser.post(
            "/login/",
            {"username": user.username, "password": PASSWORD},
            user_agent="Firefox",
        )
        row = Session.objects.get()

        assert row.user == user
        assert (row.ip_address, row.user_agent) == ("127.0.0.1", "Firefox")
        assert row.authenticated_at
        assert row.aal == 1

    def test_login_in_a_view(self, visitor, user):
        """`login()` and `alogin()` bind the session they were called for."""
        browser = visitor()
        browser.enter(user)

        assert browser.user == user.pk
        assert Session.objects.get().ip_address == "127.0.0.1"

    def test_admin(self, visitor, user):
        """The admin's own login page is a door like any other."""
        user.is_staff = user.is_superuser = True
        user.save()
        browser = visitor()
        browser.post(
            "/admin/login/?next=/admin/",
            {"username": user.username, "password": PASSWORD},
        )

        assert live_ids(user)
        assert browser.get("/admin/").status_code == 200

    @pytest.mark.parametrize("client", [Client, AsyncClient])
    def test_force_login(self, engine, user, client):
        """The test client, which has no request, binds with nothing else known."""
        browser = client()
        if client is Client:
            browser.force_login(user)
        else:
            async_to_sync(browser.aforce_login)(user)
        row = Session.objects.get()

        assert row.user == user
        assert row.ip_address is None

    def test_key_in_the_data(self, store, user, call):
        """Whoever writes the auth keys without login() gets a bound session too."""
        session = opened(store, cart="full")
        anonymous = session.session_key
        session[SESSION_KEY] = str(user.pk)
        call(session, "save")

        assert session.user_id == user.pk
        assert not lives(store, anonymous)

    def test_tells_once(self, visitor, user):
        """`session_authenticated` is sent once, with the public id and no secret."""
        with heard(session_authenticated) as found:
            browser = visitor()
            browser.enter(user)
            browser.get("/show/")
        (told,) = found

        assert told["session_id"] == Session.objects.get().pk
        assert told["user_id"] == user.pk
        assert browser.key not in repr(told)

    def test_audited(self, visitor, user):
        """The audit trail holds one login, of this user, from this address."""
        visitor().enter(user)
        event = SessionEvent.objects.get()

        assert (event.kind, event.user, event.ip_address) == (
            "login",
            user,
            "127.0.0.1",
        )

    def test_again_in_the_same_browser(self, visitor, user):
        """A second login of the user is one more login: on record, and signalled."""
        browser = visitor()
        browser.enter(user)
        with heard(session_authenticated) as told:
            browser.enter(user)
        pk = Session.objects.get().pk

        assert [each["session_id"] for each in told] == [pk]
        logins = SessionEvent.objects.filter(kind="login", user=user)
        assert list(logins.values_list("session_id", flat=True)) == [pk, pk]

    def test_again_and_rolled_back(self, visitor, user):
        """A second login that is taken back leaves the session, and no record."""
        browser = visitor()
        browser.enter(user)
        browser.get(f"/enter-and-miss/{user.pk}/")

        assert browser.user == user.pk
        assert SessionEvent.objects.filter(kind="login").count() == 1


class TestKeys:
    def test_planted_key_is_worthless(self, visitor, user):
        """The key of before the login, known to whoever planted it, opens nothing."""
        attacker, victim = visitor(), visitor()
        attacker.get("/put/cart/planted/")
        victim.key = planted = attacker.key
        victim.enter(user)

        assert victim.key != planted
        assert victim.user == user.pk
        assert attacker.user is None
        assert victim.data == {"cart": "planted"}

    def test_same_user_again(self, visitor, user):
        """A second login in one browser keeps the session, under another key."""
        browser = visitor()
        browser.enter(user)
        first = browser.key
        browser.enter(user)
        thief = visitor()
        thief.key = first

        assert browser.key != first
        assert browser.user == user.pk
        assert thief.user is None
        assert Session.objects.count() == 1

    def test_another_user(self, visitor, user):
        """The next user of a browser gets a session of their own, and nothing else."""
        other = UserFactory()
        browser = visitor()
        browser.enter(user)
        browser.get("/put/diary/private/")
        browser.enter(other)

        assert browser.user == other.pk
        assert browser.data == {}
        assert live_ids(user) == set()
        assert Session.objects.for_user(other).get().ip_address == "127.0.0.1"

    def test_another_user_in_the_data(self, store, user, call):
        """Even without flush() a session never changes hands: it is replaced."""
        other = UserFactory()
        session = opened(store, user)
        old = session.session_key
        session[SESSION_KEY] = str(other.pk)
        call(session, "save")

        assert not lives(store, old)
        assert store(session.session_key).user_id == other.pk
        assert reasons(user) == ["flushed"]

    def test_another_user_through_an_old_key(self, visitor, user):
        """A user switch in a late request reaches the browser that made it."""
        other = UserFactory()
        browser, late = visitor(), visitor()
        browser.enter(user)
        late.key = browser.key
        browser.get("/rotate/")
        late.enter(other)

        assert late.user == other.pk

    def test_data_without_user(self, store, user, call):
        """Taking the auth keys out of the data makes a session nobody's again."""
        session = opened(store, user, cart="full")
        old = session.session_key
        del session[SESSION_KEY]
        call(session, "save")
        again = store(session.session_key)

        assert not lives(store, old)
        assert again.user_id is None
        assert again["cart"] == "full"
        assert live_ids(user) == set()

    def test_logout(self, visitor, user):
        """A logout ends the session, says so, and takes the cookie away."""
        browser = visitor()
        browser.enter(user)
        thief = visitor()
        thief.key = browser.key
        browser.get("/leave/")

        assert browser.key is None
        assert thief.user is None
        assert reasons(user) == ["logout"]


class TestLimit:
    def test_oldest_leaves(self, visitor, user):
        """The login that is one too many ends the session that began first."""
        browsers = [visitor() for _ in range(4)]
        for browser in browsers:
            browser.enter(user)

        assert [browser.user for browser in browsers] == [None] + 3 * [user.pk]
        assert reasons(user) == ["evicted"]

    def test_least_recently_used_leaves(self, visitor, user, settings, clock):
        """Under evict_lru the session unused for longest ends, however young."""
        settings.SECURE_SESSIONS = {
            "MAX_SESSIONS": 2,
            "LIMIT_STRATEGY": "evict_lru",
        }
        first, second, third = (visitor() for _ in range(3))
        first.enter(user)
        clock.shift(timedelta(minutes=2))
        second.enter(user)
        clock.shift(timedelta(minutes=2))
        first.get("/show/")
        third.enter(user)

        assert (first.user, second.user, third.user) == (user.pk, None, user.pk)

    def test_reject(self, visitor, user, settings):
        """Under reject the newcomer is told, and those who are in stay in."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1, "LIMIT_STRATEGY": "reject"}
        first, second = visitor(), visitor()
        first.enter(user)
        second.get("/put/cart/full/")
        refused = second.get(f"/enter/{user.pk}/", **JSON)

        assert refused.status_code == 403
        assert refused.json()["error"] == "session_limit_reached"
        assert 0 < int(refused["Retry-After"]) <= 30 * 60 + 1
        assert (first.user, second.user) == (user.pk, None)
        assert second.data == {"cart": "full"}
        assert SessionEvent.objects.filter(kind="limit_rejected").count() == 1

    def test_refusal_in_code(self, store, user, settings, call):
        """What calls save() itself gets the limit as an exception."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1, "LIMIT_STRATEGY": "reject"}
        opened(store, user)
        session = opened(store, cart="full")
        session[SESSION_KEY] = str(user.pk)

        with pytest.raises(SessionLimitReached) as refused:
            call(session, "save")

        assert refused.value.limit == 1
        assert store(session.session_key)["cart"] == "full"

    def test_ask(self, visitor, user, settings):
        """Under ask nobody leaves and nobody gets in, until the newcomer has chosen."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 2, "LIMIT_STRATEGY": "ask"}
        first, second, third = (visitor() for _ in range(3))
        first.enter(user)
        second.enter(user)
        third.get("/put/cart/full/")
        path = f"/{'a' * third.asgi}enter/{user.pk}/"
        asked = third.get(path, **JSON)
        half = third.key

        assert asked.status_code == 409
        assert third.user is None
        assert (first.user, second.user) == (user.pk, user.pk)

        chosen = max(asked.json()["choose"], key=lambda one: one["signed_in_at"])
        done = third.post(asked.json()["url"], {"end": chosen["id"]}, **JSON)
        thief = visitor()
        thief.key = half

        assert done.status_code == 200
        assert (first.user, second.user, third.user) == (user.pk, None, user.pk)
        assert third.data == {"cart": "full"}
        assert (thief.user, third.key != half) == (None, True)
        assert reasons(user) == ["evicted"]

    @pytest.mark.parametrize("anonymous", [True, False], ids=["bound", "inserted"])
    def test_ask_in_code(self, store, user, settings, call, anonymous):
        """What calls save() itself is refused, and no later save of it lets in."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1, "LIMIT_STRATEGY": "ask"}
        opened(store, user)
        session = opened(store, cart="full") if anonymous else store()
        session[SESSION_KEY] = str(user.pk)

        for _ in range(2):
            with pytest.raises(SessionLimitReached) as refused:
                call(session, "save" if anonymous else "create")

        assert refused.value.asks
        assert len(live_ids(user)) == 1
        assert SessionEvent.objects.filter(kind="limit_asked").count() == 2

    def test_ask_in_a_view_that_saves(self, visitor, user, settings):
        """A view that saves the session before it answers asks as any other."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1, "LIMIT_STRATEGY": "ask"}
        visitor().enter(user)
        browser = visitor()
        asked = browser.get(f"/enter-save-and-fail/{user.pk}/")

        assert asked.status_code == 302
        assert browser.get(asked["Location"]).status_code == 200
        assert browser.user is None

    def test_no_limit(self, visitor, user, settings):
        """MAX_SESSIONS = None lets everybody in and nobody out."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
        browsers = [visitor() for _ in range(5)]
        for browser in browsers:
            browser.enter(user)

        assert {browser.user for browser in browsers} == {user.pk}

    def test_lowered_limit_is_met_at_once(self, store, user, settings):
        """The first login after MAX_SESSIONS shrank ends all who are too many."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
        for _ in range(10):
            opened(store, user)
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 3}
        newest = opened(store, user)

        assert len(live_ids(user)) == 3
        assert newest.public_id in live_ids(user)

    def test_dead_ones_do_not_count(self, store, user, settings, clock):
        """Sessions whose time is over keep nobody out."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 3, "LIMIT_STRATEGY": "reject"}
        for _ in range(3):
            opened(store, user)
        clock.shift(timedelta(minutes=31))

        assert opened(store, user).public_id in live_ids(user)

    def test_new_one_stays_on_equal_times(self, store, user, time_machine):
        """At one and the same microsecond the session that logs in survives."""
        time_machine.move_to("2030-01-01", tick=False)
        for _ in range(5):
            newest = opened(store, user)

        assert newest.public_id in live_ids(user)
        assert len(live_ids(user)) == 3

    def test_per_user(self, store, user, settings):
        """One user's logins are nobody else's business."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1}
        other = UserFactory()
        opened(store, other)
        opened(store, user)

        assert len(live_ids(other)) == 1

    def test_rules_for_some(self, store, user, settings, clock):
        """RULES_FOR gives a user limits of their own, kept for the whole session."""
        settings.SECURE_SESSIONS = {
            "RULES_FOR": lambda who: (
                Rules(timedelta(minutes=1), timedelta(hours=1), 1)
                if who == user
                else None
            )
        }
        other = UserFactory()
        strict, usual = opened(store, user), opened(store, other)
        opened(store, user)
        settings.SECURE_SESSIONS = {}
        clock.shift(timedelta(minutes=2))

        assert reasons(user) == ["evicted"]
        assert not lives(store, strict.session_key)
        assert lives(store, usual.session_key)
        assert live_ids(user) == set()

    @pytest.mark.parametrize("strategy", [*LimitStrategy])
    def test_own_session_counts_once(self, visitor, user, settings, strategy):
        """Signing in again in the only session allowed is no second session."""
        settings.SECURE_SESSIONS = {
            "MAX_SESSIONS": 1,
            "LIMIT_STRATEGY": strategy.value,
        }
        browser = visitor()
        browser.enter(user)
        browser.enter(user)

        assert browser.user == user.pk

    def test_evicted_browser_is_told(self, visitor, user, settings):
        """The evicted learn why at the first page that refuses them."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1}
        first, second = visitor(), visitor()
        first.enter(user)
        second.enter(user)

        assert first.get("/show/").status_code == 200
        assert first.get("/private/", **JSON).json() == {
            "error": "session_ended",
            "reason": "evicted",
            "detail": "You were signed out because you signed in on another device.",
        }


class TestConflicts:
    @pytest.mark.parametrize("anonymous", [True, False], ids=["bound", "inserted"])
    def test_lost_deadlock_is_tried_again(
        self, store, user, call, deadlocks, anonymous
    ):
        """A login that a deadlock rolled back succeeds at the second try."""
        session = opened(store, cart="full") if anonymous else store()
        session[SESSION_KEY] = str(user.pk)
        deadlocks.append(1)
        call(session, "save")

        assert store(session.session_key).user_id == user.pk
        assert Session.objects.count() == 1
        assert SessionEvent.objects.count() == 1

    def test_endless_deadlocks_are_an_outage(self, visitor, user, deadlocks):
        """A login that never gets its turn is answered with a 503, and no session."""
        deadlocks += range(100)
        browser = visitor()
        response = browser.get(f"/enter/{user.pk}/")

        assert response.status_code == 503
        assert not Session.objects.exclude(user=F("user")).filter(user=user).exists()
        assert Visitor().key is None
