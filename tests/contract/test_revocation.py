"""What becomes of sessions when something happens to their user."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session as DjangoSession
from django.core import signing
from django.db import OperationalError
from django.urls import reverse

from django_secure_sessions import lifecycle
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.signals import session_ended
from django_secure_sessions.state import ClientInfo
from tests import pages
from tests.contract.test_login import live_ids, reasons
from tests.contract.test_resurrection import lives, opened
from tests.factories import PASSWORD, UserFactory
from tests.hearing import heard
from tests.visitor import JSON

pytestmark = pytest.mark.django_db(transaction=True)

User = get_user_model()


@pytest.fixture
def pair(visitor, user):
    """Two browsers of one user, both signed in."""
    browsers = visitor(), visitor()
    for browser in browsers:
        browser.enter(user)
    return browsers


def where(kind):
    """Return, from the history, who asked for each end of ``kind``, and for whose."""
    found = SessionEvent.objects.filter(kind=kind)
    return sorted(((event.user_agent, event.detail) for event in found), key=str)


def of_session(user_agent, ip="127.0.0.1"):
    """Return the detail of an event that somebody else's client caused."""
    return {"session_client": {"ip_address": ip, "user_agent": user_agent}}


def actors(kind):
    """Return who did what the history calls ``kind``."""
    return set(SessionEvent.objects.filter(kind=kind).values_list("actor", flat=True))


class TestPassword:
    def test_change_ends_the_others(self, pair, user):
        """Changing one's password keeps this browser and ends every other."""
        here, there = pair
        here.get("/change-password/")

        assert (here.user, there.user) == (user.pk, None)
        assert reasons(user) == ["password_changed"]

    def test_change_is_said_to_be_the_users_own(self, pair, user):
        """The history names the user who changed the password, not the system."""
        pair[0].get("/change-password/")

        assert actors("password_changed") == {user.get_username()}

    def test_change_elsewhere_ends_all(self, pair, user):
        """A change outside any request of the user spares no session."""
        user.set_password("new")
        user.save()

        assert reasons(user) == 2 * ["password_changed"]
        assert actors("password_changed") == {"system"}
        assert [browser.user for browser in pair] == [None, None]

    def test_update_fields(self, pair, user):
        """The same when only the password is written."""
        user.set_password("new")
        user.save(update_fields=["password"])

        assert live_ids(user) == set()

    def test_not_written(self, pair, user):
        """A password that was set and not saved changes nothing, until it is saved."""
        user.set_password("new")
        user.save(update_fields=["email"])
        assert len(live_ids(user)) == 2

        user.save()
        assert reasons(user) == 2 * ["password_changed"]

    @pytest.mark.parametrize("fields", [None, ["password"]])
    @pytest.mark.parametrize("password", ["new", None])
    def test_hash_set_by_hand(self, pair, user, password, fields):
        """A hash of one's own making counts, and so does one that fits no password."""
        user.password = make_password(password)
        user.save(update_fields=fields)

        assert reasons(user) == 2 * ["password_changed"]

    def test_hash_after_another_change(self, pair, visitor, user):
        """A second change through the same object counts as the first did."""
        user.set_password("new")
        user.save()
        visitor().enter(user)
        user.password = make_password("newer")
        user.save(update_fields=["password"])

        assert live_ids(user) == set()

    def test_unusable_password(self, pair, user):
        """Taking the password away ends all sessions at once."""
        user.set_unusable_password()
        user.save()

        assert reasons(user) == 2 * ["password_changed"]

    def test_deferred_password(self, pair, user, django_assert_num_queries):
        """A save of an object without its password asks nothing and ends nothing."""
        found = User.objects.only("username").get(pk=user.pk)
        with django_assert_num_queries(1):
            found.save()

        assert len(live_ids(user)) == 2

    @pytest.mark.parametrize(
        ("choice", "left"), [("end_others", 1), ("end_all", 0), ("keep", 2)]
    )
    def test_choices(self, pair, user, settings, choice, left):
        """ON_PASSWORD_CHANGE says whose sessions end."""
        settings.SECURE_SESSIONS = {"ON_PASSWORD_CHANGE": choice}
        pair[0].get("/change-password/")

        assert len(live_ids(user)) == left

    def test_keep_leaves_it_to_django(self, pair, user, settings):
        """Kept rows are no promise: Django's own check ends them at their next use."""
        settings.SECURE_SESSIONS = {"ON_PASSWORD_CHANGE": "keep"}
        here, there = pair
        here.get("/change-password/")

        assert (here.user, there.user) == (user.pk, None)
        assert reasons(user) == ["password_changed"]

    def test_change_of_an_inactive_user(self, pair, user, settings):
        """Where the inactive may stay, their password change counts all the same."""
        settings.SECURE_SESSIONS = {"ON_DEACTIVATE": "keep"}
        settings.AUTHENTICATION_BACKENDS = [
            "django.contrib.auth.backends.AllowAllUsersModelBackend"
        ]
        user.is_active = False
        user.save()
        assert len(live_ids(user)) == 2
        user.set_password("new")
        user.save()

        assert reasons(user) == 2 * ["password_changed"]

    def test_upgrade_of_the_hash_is_no_change(self, pair, visitor, user, settings):
        """A login that renews the hash of the same password ends nobody's session."""
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.PBKDF2PasswordHasher",
            *settings.PASSWORD_HASHERS,
        ]
        before = user.password
        visitor().post("/login/", {"username": user.username, "password": PASSWORD})
        user.refresh_from_db()

        assert user.password != before
        assert len(live_ids(user)) == 3

    def test_upgrade_of_the_hash_is_one_to_django(self, pair, visitor, user, settings):
        """Django's own check sees another hash, and ends the other sessions later."""
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.PBKDF2PasswordHasher",
            *settings.PASSWORD_HASHERS,
        ]
        visitor().post("/login/", {"username": user.username, "password": PASSWORD})

        assert [browser.user for browser in pair] == [None, None]
        assert reasons(user) == 2 * ["password_changed"]

    def test_raw_sql_is_noticed_at_the_next_request(self, pair, user):
        """A hash that changed behind our back ends each session as it is used."""
        User.objects.filter(pk=user.pk).update(password=make_password("new"))

        assert [browser.user for browser in pair] == [None, None]
        assert reasons(user) == 2 * ["password_changed"]

    def test_raw_sql_is_explained(self, pair, user):
        """The browser is told why, as it is after any other change."""
        User.objects.filter(pk=user.pk).update(password=make_password("new"))
        answer = pair[0].get("/guarded/")

        assert answer.status_code == 302
        assert "session_ended=password_changed" in answer["Location"]

    def test_flush_by_the_site_is_no_change(self, pair, user):
        """A session that a view flushes is just that."""
        pair[0].get("/flush/")

        assert reasons(user) == ["flushed"]

    def test_other_saves_end_nothing(self, pair, user):
        """Saving a user for another reason leaves the sessions alone."""
        user.email = "new@example.com"
        user.save()

        assert [browser.user for browser in pair] == [user.pk, user.pk]


class TestDeactivation:
    def test_save(self, pair, user):
        """Deactivating a user ends all sessions, for good."""
        user.is_active = False
        user.save()
        user.is_active = True
        user.save()

        assert [browser.user for browser in pair] == [None, None]
        assert reasons(user) == 2 * ["user_deactivated"]

    def test_bulk_update(self, pair, user):
        """An update that sends no signal ends a session at its next request."""
        User.objects.filter(pk=user.pk).update(is_active=False)
        used, _ = pair
        assert used.user is None
        User.objects.filter(pk=user.pk).update(is_active=True)

        assert used.user is None
        assert reasons(user) == ["user_deactivated"]

    def test_reactivation(self, pair, user):
        """What a bulk update deactivated does not revive with its user."""
        User.objects.filter(pk=user.pk).update(is_active=False)
        user.is_active = True
        user.save()

        assert [browser.user for browser in pair] == [None, None]
        assert reasons(user) == 2 * ["user_deactivated"]

    def test_activation_from_within(self, visitor, user, settings, monkeypatch):
        """Where the inactive may sign in, the session that activates one stays."""
        everybody = "django.contrib.auth.backends.AllowAllUsersModelBackend"
        settings.AUTHENTICATION_BACKENDS = [everybody]
        monkeypatch.setattr(pages, "BACKEND", everybody)
        User.objects.filter(pk=user.pk).update(is_active=False)
        here, there = visitor(), visitor()
        for browser in (here, there):
            browser.enter(user)

        assert here.get("/activate/").status_code == 200
        assert [here.user, there.user] == [user.pk, None]

    def test_two_bulk_updates(self, pair, user):
        """
        Nothing tells of a user who was inactive for a moment, between two requests.

        `lifecycle.end_all` is for that.
        """
        User.objects.filter(pk=user.pk).update(is_active=False)
        User.objects.filter(pk=user.pk).update(is_active=True)

        assert [browser.user for browser in pair] == [user.pk, user.pk]

    def test_another_save(self, pair, user):
        """A save of an active user ends nothing."""
        user.first_name = "Anna"
        user.save()

        assert [browser.user for browser in pair] == [user.pk, user.pk]

    def test_page_without_user(self, pair, user):
        """A request that asks for nobody ends nothing, active or not."""
        pair[0].get("/status/200/")

        assert len(live_ids(user)) == 2

    def test_keep(self, pair, user, settings):
        """ON_DEACTIVATE = "keep" leaves the sessions to the site."""
        settings.SECURE_SESSIONS = {"ON_DEACTIVATE": "keep"}
        user.is_active = False
        user.save()

        assert len(live_ids(user)) == 2


class TestDeletion:
    @pytest.mark.parametrize("bulk", [False, True])
    def test_history_stays(self, pair, user, bulk):
        """The rows go with their user; the audit trail stays, under the old name."""
        name, pk = user.username, user.pk
        if bulk:
            User.objects.filter(pk=pk).delete()
        else:
            user.delete()
        kinds = list(SessionEvent.objects.filter(username=name).values_list("kind"))

        assert not Session.objects.exists()
        assert sorted(kinds) == 2 * [("login",)] + 2 * [("user_deleted",)]
        assert [browser.user for browser in pair] == [None, None]

    def test_heard(self, pair, user):
        """Who holds resources of the sessions is told of each end, once."""
        expected = {(pk, "user_deleted") for pk in live_ids(user)}
        with heard(session_ended) as told:
            user.delete()

        assert len(told) == 2
        assert {(each["session_id"], each["reason"]) for each in told} == expected


class TestVerbs:
    def test_end_one(self, pair, user):
        """Ending one session by its public id leaves the others."""
        first = lifecycle.live_sessions(user)[0]

        assert lifecycle.end(first.id) is True
        assert lifecycle.end(first.id) is False
        assert len(live_ids(user)) == 1

    def test_end_others(self, pair, user):
        """Ending the others keeps the named one."""
        kept = lifecycle.live_sessions(user)[0]

        assert lifecycle.end_others(user, kept.id, actor="root") == 1
        assert live_ids(user) == {kept.id}
        assert SessionEvent.objects.get(kind="revoked").actor == "root"

    def test_end_all_is_the_users_own(self, pair, user):
        """Nobody else loses a session."""
        other = UserFactory()
        pair[1].enter(other)

        assert lifecycle.end_all(user) == 1
        assert pair[1].user == other.pk

    def test_end_matching(self, pair, visitor, user):
        """A queryset's sessions end; those of nobody are deleted."""
        stranger = visitor()
        stranger.get("/put/cart/full/")

        assert lifecycle.end_matching(Session.objects.all()) == 3
        assert not stranger.data
        assert Session.objects.filter(end_reason="revoked").count() == 2
        assert Session.objects.count() == 2

    def test_immediate(self, pair, user):
        """The very next request of a revoked browser is anonymous."""
        assert pair[1].user == user.pk
        lifecycle.end_all(user)

        assert [browser.user for browser in pair] == [None, None]


class TestClientOfAnEnd:
    """An event names the client that asked; the ended one's is in its detail."""

    @pytest.fixture
    def away(self, visitor, user):
        """A browser that the others sign out."""
        browser = visitor()
        browser.get(f"/{'a' * browser.asgi}enter/{user.pk}/", user_agent="away")
        return browser

    def test_verb_with_a_client(self, away, user):
        """What is said about who asked is what is recorded, for every verb."""
        lifecycle.end_matching(
            Session.objects.filter(user=user), client=ClientInfo("192.0.2.9", "desk")
        )

        assert where("revoked") == [("desk", of_session("away"))]
        assert SessionEvent.objects.get(kind="revoked").ip_address == "192.0.2.9"

    def test_verb_without_a_request(self, away, user):
        """Where nobody asks, the session's own client is all there is to name."""
        lifecycle.end_all(user)

        assert where("revoked") == [("away", {})]

    def test_verb_in_a_view(self, away, visitor, user):
        """A view that names no client means the one it serves."""
        here = visitor()
        here.get(f"/{'a' * here.asgi}enter/{user.pk}/", user_agent="here")
        here.get("/end-and-put/", user_agent="here")

        assert where("revoked") == [("here", of_session("away")), ("here", {})]

    def test_password_change(self, away, visitor, user):
        """The browser that changed the password signed the other one out."""
        here = visitor()
        here.get(f"/{'a' * here.asgi}enter/{user.pk}/", user_agent="here")
        here.get("/change-password/", user_agent="here")

        assert where("password_changed") == [("here", of_session("away"))]

    def test_eviction(self, away, visitor, user, settings):
        """The login that found no room is what ended the oldest."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1}
        here = visitor()
        here.get(f"/{'a' * here.asgi}enter/{user.pk}/", user_agent="here")

        assert where("evicted") == [("here", of_session("away"))]

    def test_logout(self, away):
        """Who signs out is the session's own client, and named once."""
        away.get("/leave/", user_agent="away")

        assert where("logout") == [("away", {})]


@pytest.mark.parametrize("handler", ["wsgi", "asgi"])
@pytest.mark.parametrize("path", ["end_session", "end_other_sessions"])
def test_self_service_bites_at_once(pair, store, user, path):
    """Who ends a session of their own has ended it: the next request is refused."""
    here, there = pair
    assert [browser.user for browser in pair] == [user.pk] * 2  # copies are warm
    other = store(there.key)
    other.items()
    arguments = [other.public_id] if path == "end_session" else []
    here.post(reverse(f"secure_sessions:{path}", args=arguments))
    answer = there.get("/private/", **JSON)

    assert answer.status_code == 401
    assert answer.json()["reason"] == "revoked"
    assert here.user == user.pk


class TestImpersonation:
    """Somebody acts as the user: neither counted, nor evicting, and on record."""

    def data(self, package, actor):
        if package == "hijack":
            return {"hijack_history": [str(actor.pk)]}
        signer = signing.TimestampSigner(salt="whatever the package uses")
        return {"loginas_from_user": signer.sign(actor.pk)}

    @pytest.mark.parametrize("package", ["hijack", "loginas"])
    def test_target_keeps_all_sessions(self, store, visitor, user, package):
        """The session of an impersonator evicts nobody and takes no place."""
        admin = UserFactory()
        browsers = [visitor() for _ in range(3)]
        for browser in browsers:
            browser.enter(user)
        acting = store()
        acting.update({"_auth_user_id": str(user.pk), **self.data(package, admin)})
        acting.save()
        assert [browser.user for browser in browsers] == 3 * [user.pk]
        one_more = visitor()
        one_more.enter(user)

        row = Session.objects.get(pk=acting.public_id)
        assert (row.user, row.impersonator, row.ended_at) == (user, str(admin.pk), None)
        event = SessionEvent.objects.get(session_id=row.pk, kind="login")
        assert event.actor == str(admin.pk)
        assert browsers[0].user is None

    def test_data_of_before_is_no_model(self):
        """Our table stands beside Django's: nothing is written to the other."""
        assert not DjangoSession.objects.exists()


class TestConflicts:
    def test_lost_deadlock_is_tried_again(self, store, user, deadlocks):
        """An end that a deadlock rolled back succeeds at the second try, and once."""
        first, second = opened(store, user), opened(store, user)
        deadlocks.append(1)

        assert lifecycle.end_all(user) == 2
        assert not lives(store, first.session_key)
        assert not lives(store, second.session_key)
        assert SessionEvent.objects.filter(kind="revoked").count() == 2

    def test_endless_deadlocks_are_an_error(self, store, user, deadlocks):
        """An end that never gets its turn says so, and has ended nothing."""
        session = opened(store, user)
        deadlocks += range(100)

        with pytest.raises(OperationalError):
            lifecycle.end_all(user)

        deadlocks.clear()
        assert lives(store, session.session_key)
