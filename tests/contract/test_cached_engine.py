"""What the cached engine promises beyond the contract of all engines."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_secure_sessions import crypto, lifecycle
from django_secure_sessions.backends import entries
from django_secure_sessions.backends.copies import copies
from django_secure_sessions.conf import conf
from django_secure_sessions.models import Session
from django_secure_sessions.state import ClientInfo
from tests import cached, servers
from tests.cached import LOCMEM, cached_engine, django_redis, lapse, opened, reopened
from tests.needs import need, need_module

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def redis():
    need("redis-server")
    server = servers.RedisServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def memcached():
    need_module("pymemcache")
    need("memcached")
    server = servers.MemcachedServer()
    yield server
    server.close()


def redis_cache(request):
    return django_redis(request.getfixturevalue("redis"))


def djangos_redis_cache(request):
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": request.getfixturevalue("redis").url,
        "OPTIONS": {
            "serializer": "django_secure_sessions.contrib.redis.BytesSerializer"
        },
    }


def memcached_cache(request):
    return cached.memcached(request.getfixturevalue("memcached"))


CACHES = {
    "django-redis": redis_cache,
    "django's redis": djangos_redis_cache,
    "memcached": memcached_cache,
    "locmem": lambda request: LOCMEM,
}


@pytest.fixture(params=CACHES.values(), ids=list(CACHES))
def store(request, settings):
    with cached_engine(settings, **request.param(request)) as store:
        yield store
        caches["sessions"].clear()


@pytest.fixture
def on_redis(request, settings):
    with cached_engine(settings, **redis_cache(request)) as store:
        yield store
        caches["sessions"].clear()


@pytest.fixture
def queries():
    """Return what counts the statements of a block."""
    return lambda: CaptureQueriesContext(connection)


def keys_of(key):
    return entries.keys_of(crypto.resolve(key).digest)


def last_activity(session):
    return Session.objects.get(pk=session.public_id).last_activity


class TestReading:
    def test_warm_read_asks_no_database(self, store, user, queries):
        """Once a request has read a session, the next one needs the cache only."""
        session = opened(store, user, cart="full")

        with queries() as asked:
            again = reopened(store, session.session_key)

        assert len(asked) == 0
        assert again["cart"] == "full"
        assert again.user_id == user.pk

    def test_every_fact_survives_the_copy(self, store, user):
        """A copy tells what the row tells."""
        session = opened(store, user)
        copy = reopened(store, session.session_key)

        for fact in ("public_id", "user_id", "created_at", "authenticated_at"):
            assert getattr(copy, fact) == getattr(session, fact)
        for fact in ("last_activity", "ip_address", "aal", "amr", "ended"):
            assert getattr(copy, fact) == getattr(session, fact)

    def test_copy_is_void_after_its_time(self, store, user, queries, clock):
        """CACHE_TTL after the database read, the database is asked again."""
        session = opened(store, user)
        clock.shift(conf.cache_ttl.total_seconds())

        with queries() as asked:
            reopened(store, session.session_key)

        assert len(asked) == 1

    def test_void_copy_is_left_to_a_writer(self, store, user, queries):
        """
        A read fills over nothing that is stored: a save may have just put it there.
        The next save replaces it, or the end of its time does.
        """
        session = opened(store, user, cart="full")
        key = session.session_key
        stored = entries.keys_of(crypto.resolve(key).digest).entry
        caches["sessions"].set(stored, b"older")

        assert reopened(store, key)["cart"] == "full"
        assert caches["sessions"].get(stored) == b"older"
        session["cart"] = "empty"
        session.save()
        with queries() as asked:
            assert reopened(store, key)["cart"] == "empty"
        assert len(asked) == 0

    def test_new_key_is_filled_by_its_first_read(self, store, user, queries):
        """A rotation stores no copy, which would outlive what it is worth."""
        session = opened(store, user)
        session.cycle_key()
        key = session.session_key

        with queries() as asked:
            reopened(store, key)
        assert len(asked) == 1
        with queries() as asked:
            reopened(store, key)
        assert len(asked) == 0

    def test_forged_cookie_asks_nobody(self, store, user, queries):
        """A key that the site never issued costs neither a query nor a command."""
        with queries() as asked:
            assert reopened(store, "a" * 40).public_id is None

        assert len(asked) == 0


class TestWriting:
    def test_save_is_seen_by_the_next_read(self, store, user, queries):
        """The save brings the copy up to date: no query, no stale data."""
        session = opened(store, user, cart="full")
        session["cart"] = "empty"
        session.save()

        with queries() as asked:
            again = reopened(store, session.session_key)

        assert again["cart"] == "empty"
        assert len(asked) == 0

    def test_rolled_back_save_leaves_no_copy(self, store, user):
        """What a transaction undid was never in the cache."""
        session = opened(store, user, cart="full")
        with transaction.atomic():
            session["cart"] = "empty"
            session.save()
            transaction.set_rollback(True)

        assert reopened(store, session.session_key)["cart"] == "full"

    def test_own_transaction_sees_its_own_save(self, store, user):
        """Before the commit, a second look in the same transaction is up to date."""
        session = opened(store, user, cart="full")
        with transaction.atomic():
            session["cart"] = "empty"
            session.save()
            assert reopened(store, session.session_key)["cart"] == "empty"

        assert reopened(store, session.session_key)["cart"] == "empty"

    def test_read_in_a_transaction_fills_after_it(self, store, user, queries):
        """Under ATOMIC_REQUESTS the cache is of use too."""
        if connection.vendor == "sqlite":
            pytest.skip("a read there may be of an older snapshot; never filled")
        session = opened(store, user)
        caches["sessions"].clear()
        with transaction.atomic():
            reopened(store, session.session_key)

        with queries() as asked:
            reopened(store, session.session_key)

        assert len(asked) == 0

    def test_rotation_closes_the_old_key(self, store, user):
        """After a privileged rotation the old key opens nothing, cached or not."""
        session = opened(store, user)
        old = session.session_key
        session.elevate(session.proof)

        assert reopened(store, old).public_id is None
        assert reopened(store, session.session_key).user_id == user.pk

    def test_rotated_key_still_loads_for_its_grace(self, store, user):
        """The key before a plain rotation leads to the row, through the database."""
        session = opened(store, user, cart="full")
        old = session.session_key
        session.cycle_key()

        again = reopened(store, old)

        assert again["cart"] == "full"
        assert again.by_previous_key


ENDS = {
    "revoked": lambda session, user: lifecycle.end(session.public_id),
    "all revoked": lambda session, user: lifecycle.end_all(user),
    "logged out": lambda session, user: session.flush(),
    "row deleted": lambda session, user: Session.objects.get().delete(),
    "rows deleted": lambda session, user: Session.objects.all().delete(),
    "user deleted": lambda session, user: user.delete(),
    "users deleted": lambda session, user: type(user).objects.all().delete(),
    "row saved as expired": lambda session, user: expire(),
}


def expire():
    row = Session.objects.get()
    row.expires_at = timezone.now() - timedelta(seconds=1)
    row.save()


class TestEnds:
    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    def test_end_is_immediate(self, store, user, end):
        """However a session ends, its copy is not believed afterwards."""
        session = opened(store, user)
        key = session.session_key
        assert reopened(store, key).user_id == user.pk

        end(session, user)

        assert reopened(store, key).user_id is None

    def test_end_of_an_anonymous_session_is_immediate(self, store):
        """A session of nobody is deleted, and so is its copy."""
        session = opened(store, cart="full")
        key = session.session_key
        lifecycle.end_matching(Session.objects.all())

        assert "cart" not in reopened(store, key)

    def test_reason_is_told(self, store, user):
        """The browser of an ended session can be told why."""
        session = opened(store, user)
        lifecycle.end(session.public_id)

        assert reopened(store, session.session_key).ended.reason == "revoked"

    def test_end_in_a_transaction_that_fails_is_none(self, store, user):
        """An end that was rolled back ends nothing, in the cache neither."""
        session = opened(store, user)
        with transaction.atomic():
            lifecycle.end(session.public_id)
            transaction.set_rollback(True)

        assert reopened(store, session.session_key).user_id == user.pk

    def test_end_wipes_the_payload(self, store, user):
        """The sealed data of an ended session does not wait for its expiry."""
        session = opened(store, user)
        key = keys_of(session.session_key)
        assert len(caches["sessions"].get(key.entry)) > 100
        lifecycle.end(session.public_id)

        assert caches["sessions"].get(key.entry) == entries.ENDED

    def test_expiry_moved_back_by_sql_holds_within_the_ttl(self, store, user, clock):
        """What no signal tells of is believed for CACHE_TTL at most."""
        session = opened(store, user)
        past = timezone.now() - timedelta(seconds=1)
        Session.objects.update(expires_at=past)
        clock.shift(conf.cache_ttl.total_seconds())

        assert reopened(store, session.session_key).user_id is None


class Bomb:
    """Would make a list of itself if anything unpickled it."""

    exploded: list[int] = []

    def __reduce__(self):
        return (Bomb.exploded.append, (1,))


FORGERIES = {
    "a pickle": lambda entry: pickle.dumps(Bomb()),
    "text": lambda entry: b'{"user_id": 1}',
    "nothing": lambda entry: b"",
    "a number": lambda entry: b"12",
    "another nonce": lambda entry: entry[:2] + bytes(12) + entry[14:],
    "another body": lambda entry: entry[:20] + bytes([entry[20] ^ 1]) + entry[21:],
    "another tag": lambda entry: entry[:-1] + bytes([entry[-1] ^ 1]),
    "cut short": lambda entry: entry[:-1],
    "head alone": lambda entry: entry[:2],
    "another key": lambda entry: entry[:2] + crypto.seal(bytes(32), entry, b""),
    # Sealed under the very same key, but as something else.
    "the row's payload": lambda entry: entry[:2] + bytes(Session.objects.get().data),
}


class TestForgery:
    @pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
    def test_foreign_entry_is_ignored(self, on_redis, user, forge, queries, caplog):
        """What the site did not write is no session: the log says so, once a minute."""
        session = opened(on_redis, user, cart="full")
        key = caches["sessions"].client.make_key(keys_of(session.session_key).entry)
        raw = caches["sessions"].client.get_client()
        raw.set(key, forge(raw.get(key)))

        with queries() as asked:
            again = reopened(on_redis, session.session_key)
        raw.set(key, forge(raw.get(key)))
        reopened(on_redis, session.session_key)

        assert again["cart"] == "full"
        assert len(asked) == 1
        assert not Bomb.exploded
        assert caplog.text.count("an entry that is not ours") == 1

    def test_entry_of_another_session_is_ignored(self, on_redis, user):
        """An entry can't be moved to another key, not even the same user's."""
        mine, theirs = opened(on_redis, user, n=1), opened(on_redis, n=2)
        entry = caches["sessions"].get(keys_of(theirs.session_key).entry)
        caches["sessions"].set(keys_of(mine.session_key).entry, entry)

        assert reopened(on_redis, mine.session_key)["n"] == 1

    def test_void_entry_of_the_same_key_stays_void(self, on_redis, user, clock):
        """A genuine entry says itself when it was read, and can't be made younger."""
        session = opened(on_redis, user, n=1)
        key = keys_of(session.session_key).entry
        entry = caches["sessions"].get(key)
        lifecycle.end(session.public_id)
        caches["sessions"].delete(keys_of(session.session_key).mark)
        clock.shift(61)
        caches["sessions"].set(key, entry)

        assert reopened(on_redis, session.session_key).user_id is None

    def test_forged_pulse_is_ignored(self, on_redis, user, clock):
        """Whoever can write the cache can't keep a session from its idle timeout."""
        session = opened(on_redis, user)
        other = opened(on_redis, user)
        clock.shift(31 * 60)
        digest = crypto.resolve(other.session_key).digest
        pulse = entries.encode_pulse(digest, timezone.now())
        caches["sessions"].set(keys_of(session.session_key).pulse, pulse)

        assert reopened(on_redis, session.session_key).user_id is None

    def test_cache_holds_no_secret(self, on_redis, user):
        """A dump of Redis has neither the session key nor anything of the session."""
        session = on_redis()
        session.attach(lambda: ClientInfo("192.0.2.77", "Mozilla/5.0 Testbrowser"))
        session.update({SESSION_KEY: str(user.pk), "cart": "flamingo"})
        session.save()
        reopened(on_redis, session.session_key)
        raw = caches["sessions"].client.get_client()
        dump = b"".join(key + raw.get(key) for key in raw.scan_iter())

        assert len(dump) > 200
        for secret in (b"flamingo", b"192.0.2.77", b"Testbrowser", b"pwd"):
            assert secret not in dump
        assert session.session_key.encode() not in dump
        assert session.session_key[:32].encode() not in dump


class TestTouches:
    def test_touch_reaches_database_and_cache(self, store, user, queries, clock):
        """Due once an interval: one UPDATE; then the cache knows, and nobody asks."""
        session = opened(store, user)
        clock.shift(30)
        reopened(store, session.session_key)
        clock.shift(29)
        assert not reopened(store, session.session_key).touch()
        clock.shift(1)
        lapse(session)
        reopened(store, session.session_key)
        clock.shift(1)

        with queries() as asked:
            assert reopened(store, session.session_key).touch()
        assert len(asked) == 1
        with queries() as asked:
            assert not reopened(store, session.session_key).touch()
        assert len(asked) == 0
        assert last_activity(session) == timezone.now()

    def test_touch_does_not_hide_a_save(self, store, user, clock):
        """A touch after somebody's save leaves the saved data in the cache."""
        session = opened(store, user, cart="full")
        clock.shift(90)
        slow, poll = (reopened(store, session.session_key) for _ in range(2))
        poll.passive = True
        poll["cart"] = "empty"
        poll.save()
        assert slow.touch()

        assert reopened(store, session.session_key)["cart"] == "empty"


class TestTouchStoreCache:
    @pytest.fixture(autouse=True)
    def _in_the_cache(self, settings):
        settings.SECURE_SESSIONS = {"TOUCH_STORE": "cache"}

    def stay(self, store, key, clock, minutes, step=2):
        """Make a request every two minutes."""
        for _ in range(0, minutes, step):
            clock.shift(step * 60)
            reopened(store, key).touch()

    def test_touch_leaves_the_database_alone(self, store, user, queries, clock):
        """Activity within half the idle timeout costs no statement but the read."""
        session = opened(store, user)
        before = last_activity(session)
        with queries() as asked:
            self.stay(store, session.session_key, clock, 14)

        assert not [q for q in asked if q["sql"].startswith("UPDATE")]
        assert last_activity(session) == before
        assert reopened(store, session.session_key).last_activity == timezone.now()

    def test_database_is_never_far_behind(self, store, user, clock):
        """After half the idle timeout a touch goes to the table."""
        session = opened(store, user)
        self.stay(store, session.session_key, clock, 60)

        assert timezone.now() - last_activity(session) < timedelta(minutes=15)

    def test_idle_counts_from_the_cached_activity(self, store, user, clock):
        """A session lives as long as with touches in the database, and no longer."""
        session = opened(store, user)
        self.stay(store, session.session_key, clock, 14)
        clock.shift(29 * 60)
        assert reopened(store, session.session_key).user_id == user.pk
        clock.shift(60)
        assert reopened(store, session.session_key).user_id is None

    def test_lost_cache_ends_early_never_late(self, store, user, clock):
        """Without the cache the table's activity counts: half a timeout less."""
        session = opened(store, user)
        self.stay(store, session.session_key, clock, 14)
        caches["sessions"].clear()
        assert reopened(store, session.session_key).user_id == user.pk
        clock.shift(16 * 60)

        assert reopened(store, session.session_key).user_id is None

    def test_flush_writes_what_the_cache_knows(self, store, user, clock, capsys):
        """The command brings the table up to date, and says for how many rows."""
        session = opened(store, user)
        opened(store, user)
        self.stay(store, session.session_key, clock, 14)
        call_command("flush_activity")

        assert "1 session" in capsys.readouterr().out
        assert last_activity(session) == timezone.now()

    def test_cleanup_spares_the_active(self, store, user, clock):
        """Sessions that only the cache knows to be active survive a clean-up."""
        session = opened(store, user)
        for _ in range(8):
            self.stay(store, session.session_key, clock, 14)
            store.clear_expired()

        assert reopened(store, session.session_key).user_id == user.pk

    def test_limit_counts_the_active(self, store, user, clock, settings):
        """A login sees activity that the table has not heard of."""
        settings.SECURE_SESSIONS = {"TOUCH_STORE": "cache", "MAX_SESSIONS": 1}
        session = opened(store, user)
        self.stay(store, session.session_key, clock, 14)
        clock.shift(20 * 60)
        opened(store, user)

        assert reopened(store, session.session_key).ended.reason == "evicted"


def test_fresh_copy_of_what_the_cleanup_ended(store, user, clock, settings):
    """A copy that is not void yet outlives neither its session nor the reason."""
    settings.SECURE_SESSIONS = {"ABSOLUTE_TIMEOUT": 600, "TOUCH_INTERVAL": 3600}
    session = opened(store, user)
    clock.shift(570)
    reopened(store, session.session_key)
    clock.shift(30)
    store.clear_expired()

    assert reopened(store, session.session_key).ended.reason == "absolute"


def test_clock_that_was_ahead_fills_nothing_for_others(store, user, clock, queries):
    """An entry from an hour in the future is void; the session is not."""
    clock.shift(3600)
    session = opened(store, user)
    clock.shift(-3600)

    with queries() as asked:
        assert reopened(store, session.session_key).user_id == user.pk
    assert len(asked) == 1


def test_copies_hold_bytes_only(on_redis):
    """The serializer refuses what isn't bytes, and interprets nothing."""
    with pytest.raises(TypeError):
        caches["sessions"].set("k", {"a": 1})

    caches["sessions"].set("k", pickle.dumps(Bomb()))
    assert caches["sessions"].get("k").startswith(b"\x80")
    assert copies().get(["k"])
