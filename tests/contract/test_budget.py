"""What the session layer may ask of the database, counted statement by statement."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_secure_sessions import lifecycle
from django_secure_sessions.backends.db import SessionStore
from django_secure_sessions.models import Session
from tests.contract.test_resurrection import opened
from tests.factories import EventFactory, SessionRowFactory, UserFactory
from tests.visitor import Visitor

# Outside a transaction of the test, whose savepoints would be counted.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.pages"),
    pytest.mark.parametrize("engine", ["db"], indirect=True),
]

TABLES = {
    model._meta.db_table: model.__name__
    for model in apps.get_app_config("django_secure_sessions").get_models()
}


@contextmanager
def statements():
    """Yield a list; fill it with what was executed, as ("UPDATE", "Session")."""
    found = []
    with CaptureQueriesContext(connection) as queries:
        yield found
    for query in queries.captured_queries:
        sql = query["sql"]
        verb = sql.split()[0].upper()
        tables = [name for table, name in TABLES.items() if f"{table}`" in sql]
        tables += [name for table, name in TABLES.items() if f'{table}"' in sql]
        if tables or verb not in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            found.append((verb, *tables[:1]))


READ, WRITE = ("SELECT", "Session"), ("UPDATE", "Session")


@pytest.fixture(params=[False, True], ids=["wsgi", "asgi"])
def browser(request, engine):
    return Visitor(asgi=request.param)


@pytest.fixture
def member(browser, user, clock):
    browser.enter(user)
    return browser


class TestRequests:
    def test_untouched(self, member):
        """A page that ignores the session: nothing."""
        with statements() as found:
            member.get("/")

        assert found == []

    def test_forged(self, browser):
        """A forged cookie, on a page that reads the session: nothing."""
        browser.key = "a" * 40
        with statements() as found:
            browser.get("/show/")

        assert found == []

    def test_read(self, member):
        """An authenticated read: one SELECT."""
        with statements() as found:
            member.get("/show/")

        assert found == [READ]

    def test_read_after_the_interval(self, member, clock):
        """The same once a minute: one UPDATE more, without a transaction."""
        clock.shift(60)
        with statements() as found:
            member.get("/show/")
        assert found == [READ, WRITE]
        with statements() as found:
            member.get("/show/")

        assert found == [READ]

    def test_flapping_address(self, member, clock, settings):
        """An address that changes with each request is written once a minute."""
        settings.SECURE_SESSIONS = {"TRUSTED_PROXIES": 1}
        version = Session.objects.get().version
        clock.shift(60)
        with statements() as found:
            for number in range(20):
                member.get("/show/", x_forwarded_for=f"198.51.100.{number % 2}")

        assert found == [READ, WRITE, *[READ] * 19]
        assert Session.objects.get().version == version

    def test_modified(self, member):
        """A changed session: one UPDATE, without a transaction."""
        with statements() as found:
            member.get("/put/a/b/")

        assert found == [READ, WRITE]

    def test_first_write_of_a_stranger(self, browser):
        """A visitor's first datum: one INSERT, without a transaction."""
        with statements() as found:
            browser.get("/put/a/b/")

        assert found == [("INSERT", "Session")]

    def test_ended(self, member, user):
        """The cookie of an ended session: one SELECT, however often it comes."""
        lifecycle.end_all(user)
        for _ in range(3):
            with statements() as found:
                member.get("/show/")

            assert found == [READ]


FACTOR, BEGIN, COMMIT = ("SELECT", "Authenticator"), ("BEGIN",), ("COMMIT",)
CHOOSE = "/account/sessions/choose/"
LOCK, HISTORY = ("INSERT", "UserSecurity"), ("INSERT", "SessionEvent")
LOOK_BACK = ("SELECT", "SessionEvent")


class TestLogin:
    """
    One transaction of four statements: lock, bind, look at the others, history.

    Five where somebody must leave. Before it: one asks for a second factor; and where
    the browser had a session, it was read, and `login()` gave it a new key. After it:
    one asks whether the device is new, and another writes that down.
    """

    @pytest.fixture(params=["new browser", "known browser"])
    def login(self, request, browser, user):
        """Return what logs in and returns the statements before BEGIN and after."""
        known = request.param == "known browser"
        if known:
            browser.get("/put/a/b/")

        def log_in():
            with statements() as found:
                browser.enter(user)
            start = found.index(BEGIN)
            assert found[:start] == ([READ, WRITE, FACTOR] if known else [FACTOR])
            first = WRITE if known else ("INSERT", "Session")
            assert found[start + 2] == first
            return [*found[start : start + 2], "bind", *found[start + 3 :]]

        return log_in

    def test_first(self, login):
        """Nobody has to leave: four statements in the transaction."""
        assert login() == [BEGIN, LOCK, "bind", READ, HISTORY, COMMIT, LOOK_BACK]

    def test_without_a_look_at_the_device(self, login, settings):
        """NEW_DEVICE "off" takes back what it costs."""
        settings.SECURE_SESSIONS = {"NEW_DEVICE": "off"}

        assert login() == [BEGIN, LOCK, "bind", READ, HISTORY, COMMIT]

    def test_on_a_new_device(self, login, user):
        """A new device is one INSERT more, after the commit as well."""
        before = timezone.now() - timedelta(days=1)
        EventFactory(user=user, user_agent="curl/8.5.0", at=before)
        after = [LOOK_BACK, HISTORY]

        assert login() == [BEGIN, LOCK, "bind", READ, HISTORY, COMMIT, *after]

    @pytest.mark.parametrize("others", [3, 40])
    def test_with_evictions(self, login, user, settings, others):
        """One statement more ends whoever must leave, however many they are."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
        for _ in range(others):
            opened(SessionStore, user)
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 3}

        during = [LOCK, "bind", READ, WRITE, HISTORY]

        assert login() == [BEGIN, *during, COMMIT, LOOK_BACK]

    def test_that_had_to_ask(self, browser, user, settings):
        """To end what the user chose costs what an eviction does."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1, "LIMIT_STRATEGY": "ask"}
        other = opened(SessionStore, user)
        browser.get(f"/enter/{user.pk}/")

        with statements() as found:
            browser.post(CHOOSE, {"end": str(other.public_id)})
        start, end = found.index(BEGIN), found.index(COMMIT)

        assert found[start:end] == [BEGIN, LOCK, WRITE, READ, WRITE, HISTORY]
        assert browser.user == user.pk


class TestEnds:
    @pytest.mark.parametrize("count", [1, 100])
    def test_end_all(self, engine, user, settings, count):
        """
        Ending all of a user's sessions: one SELECT, one UPDATE, and its history.

        The audit trail is one INSERT for all of them; both writes commit together.
        """
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
        for _ in range(count):
            opened(SessionStore, user)
        with statements() as found:
            assert lifecycle.end_all(user) == count

        assert found == [
            READ,
            ("BEGIN",),
            WRITE,
            ("INSERT", "SessionEvent"),
            ("COMMIT",),
        ]

    def test_nothing_to_end(self, engine, user):
        """A user without sessions costs the SELECT that finds none."""
        with statements() as found:
            lifecycle.end_all(user)

        assert READ in found
        assert WRITE not in found


@pytest.mark.vendor("postgresql")
@pytest.mark.django_db
class TestPostgreSQL:
    @pytest.fixture(autouse=True)
    def _many(self, db, settings):
        """Enough rows that an index is the better plan."""
        now = timezone.now()
        users = UserFactory.create_batch(20)
        Session.objects.bulk_create(
            Session(
                key_digest=f"{number:032x}",
                previous_digest=f"{number + 10**6:032x}",
                user=users[number % 20],
                data=b"x",
                created_at=now,
                last_activity=now,
                expires_at=now + timedelta(seconds=number),
                ended_at=now + timedelta(seconds=number) if number % 2 else None,
            )
            for number in range(3_000)
        )
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {Session._meta.db_table}")

    def plan(self, queryset):
        return queryset.explain()

    def test_key(self, engine):
        """A session is found by its digest through the unique index."""
        queryset = Session.objects.filter(key_digest=f"{7:032x}")

        assert "Index Scan using django_secure_sessions_session_key_digest" in (
            self.plan(queryset)
        )

    def test_previous_key(self, engine):
        """So it is by the key before a rotation."""
        queryset = Session.objects.filter(previous_digest=f"{10**6:032x}")

        assert "previous_digest" in self.plan(queryset).split("Cond")[0]

    def test_sessions_of_a_user(self, engine):
        """A user's live sessions come through the index of users."""
        user = Session.objects.first().user
        queryset = Session.objects.filter(user=user, ended_at=None)

        assert "secure_sessions_by_user" in self.plan(queryset)

    def test_end_all(self, engine):
        """
        What ends a user's sessions goes by indexes alone, so a large table costs no
        more than a small one.
        """
        user = UserFactory()
        SessionRowFactory.create_batch(3, user=user)
        asked = []

        def keep(execute, sql, params, many, context):
            if Session._meta.db_table + '"' in sql:
                asked.append((sql, params))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(keep):
            assert lifecycle.end_all(user) == 3

        plans = []
        for sql, params in asked:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}", params)
                plans.append("\n".join(line for (line,) in cursor.fetchall()))
        select, update = plans
        assert "secure_sessions_by_user" in select
        assert "django_secure_sessions_session_pkey" in update
        assert "Seq Scan" not in select + update

    def test_expired(self, engine):
        """The clean-up finds what is over without reading the rest."""
        queryset = Session.objects.filter(
            ended_at=None, expires_at__lte=timezone.now()
        ).order_by("ended_at", "expires_at")[:100]

        assert "Seq Scan" not in self.plan(queryset)
        assert "expires_at" in self.plan(queryset)

    def test_history(self, engine):
        """So it does with the history."""
        queryset = Session.objects.filter(ended_at__lte=timezone.now()).order_by(
            "ended_at"
        )[:100]

        assert "Seq Scan" not in self.plan(queryset)


@pytest.mark.vendor("postgresql")
def test_touch_is_a_heap_only_update(engine, user, clock):
    """A touch rewrites no index on PostgreSQL: no indexed column changes."""
    session = opened(SessionStore, user)
    counters = (
        "SELECT pg_stat_get_xact_tuples_updated(%s::regclass),"
        " pg_stat_get_xact_tuples_hot_updated(%s::regclass)"
    )
    table = Session._meta.db_table
    with transaction.atomic(), connection.cursor() as cursor:
        for _ in range(5):
            clock.shift(60)
            late = SessionStore(session.session_key)
            late.items()
            assert late.touch()
        cursor.execute(counters, [table, table])
        updated, heap_only = cursor.fetchone()

    assert updated == heap_only == 5
