"""What a clean-up ends, deletes, leaves alone and refuses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_secure_sessions import lifecycle, signals
from django_secure_sessions.backends.db import SessionStore
from django_secure_sessions.backends.retention import Report, purge
from django_secure_sessions.exceptions import ClockMistrusted
from django_secure_sessions.models import Session, SessionEvent, TrustedDevice
from django_secure_sessions.state import Rules
from tests import hearing
from tests.factories import (
    EventFactory,
    SessionFactory,
    SessionRowFactory,
    TrustedDeviceFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def one_rule_per_user(user):
    """Give visitors five minutes, and members no idle limit but two hours in all."""
    if user.username.startswith("visitor"):
        return Rules(idle=5 * MINUTE, absolute=None)
    return Rules(idle=None, absolute=2 * HOUR)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def heard():
    """Return what session_ended said, as it is sent."""
    found = []

    def hear(sender, session_id, user_id, reason, actor, **kwargs):
        found.append((session_id, user_id, reason, actor))

    with hearing.connected(signals.session_ended, hear):
        yield found


class TestEndingByTime:
    def test_idle_session_ends_as_of_its_last_activity(self, user, now):
        """A session nobody used ends for idleness, dated when it became idle."""
        session = SessionFactory(user=user)

        report = purge(now + 2 * HOUR)

        row = Session.objects.get()
        assert report == Report(ended=1)
        assert row.pk == session.public_id
        assert row.end_reason == "idle"
        assert row.ended_at == row.last_activity + 30 * MINUTE

    def test_busy_session_ends_as_of_its_absolute_limit(self, user, now):
        """A session used until the end ends for age, dated twelve hours after login."""
        row = SessionRowFactory(
            user=user,
            created_at=now - 13 * HOUR,
            last_activity=now - HOUR - MINUTE,
            expires_at=now - HOUR,
        )

        purge(now)

        row.refresh_from_db()
        assert row.end_reason == "absolute"
        assert row.ended_at == now - HOUR

    def test_session_cut_short_by_its_cookie_has_expired(self, user, now):
        """A session whose own expiry came before both limits ends as expired."""
        row = SessionRowFactory(
            user=user, created_at=now - 10 * MINUTE, expires_at=now - MINUTE
        )

        purge(now)

        row.refresh_from_db()
        assert (row.end_reason, row.ended_at) == ("expired", now - MINUTE)

    def test_each_user_ends_by_the_own_rules(self, settings, now):
        """Limits that RULES_FOR gave a user decide the reason and the moment."""
        settings.SECURE_SESSIONS = {
            "RULES_FOR": "tests.edges.test_cleanup.one_rule_per_user"
        }
        SessionFactory(user=UserFactory(username="visitor"))
        SessionFactory(user=UserFactory(username="member"))

        purge(now + 3 * HOUR)

        visitor, member = Session.objects.order_by("ended_at")
        assert (visitor.user.username, visitor.end_reason) == ("visitor", "idle")
        assert visitor.ended_at == visitor.last_activity + 5 * MINUTE
        assert (member.user.username, member.end_reason) == ("member", "absolute")
        assert member.ended_at == member.authenticated_at + 2 * HOUR

    def test_payload_and_ways_back_are_wiped(self, user, now):
        """Nothing that could be opened stays in the row of an ended session."""
        session = SessionFactory(user=user)
        session.cycle_key()
        assert Session.objects.get().previous_seal

        purge(now + 2 * HOUR)

        row = Session.objects.get()
        assert bytes(row.data) == b""
        assert row.previous_digest is None
        assert row.previous_seal is None
        assert not SessionStore(session.session_key).exists(session.session_key)

    def test_exactly_at_the_limit_it_is_over(self, user, now):
        """Expiry is inclusive here as in the policy; a moment earlier it is not."""
        row = SessionRowFactory(user=user, created_at=now, expires_at=now + 10 * MINUTE)

        assert purge(row.expires_at - timedelta(microseconds=1)).ended == 0
        assert purge(row.expires_at).ended == 1

    def test_live_sessions_stay_as_they_are(self, user, now):
        """A session that is still good is not touched."""
        session = SessionFactory(user=user)
        before = Session.objects.values().get()

        assert purge(now).total == 0
        assert Session.objects.values().get() == before
        assert SessionStore(session.session_key)["colour"] == "blue"

    def test_each_end_is_in_the_audit_trail(self, user, now):
        """One event per ended session says who, from where, why and when."""
        session = SessionFactory(user=user, ip="198.51.100.4", user_agent="Chrome/1")

        purge(now + 2 * HOUR)

        event = SessionEvent.objects.get(kind="idle")
        assert event.at == Session.objects.get().ended_at
        assert event.user == user
        assert event.session_id == session.public_id
        assert event.actor == "system"
        assert event.ip_address == "198.51.100.4"
        assert event.user_agent == "Chrome/1"
        assert event.detail == {}

    def test_who_listens_to_events_hears_the_same(self, user, now):
        """A receiver of event_recorded gets the event that the table gets unheard."""
        SessionFactory(user=user)
        with (
            hearing.heard(signals.event_recorded) as told,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr("django.db.transaction.on_commit", _at_once)
            purge(now + 2 * HOUR)

        (heard,) = told
        event = heard["event"]
        stored = SessionEvent.objects.get(kind="idle")
        assert event.session_id == stored.session_id == Session.objects.get().pk
        assert event.at == stored.at
        assert (stored.user, stored.actor, stored.detail) == (user, "system", {})

    def test_session_ended_is_sent_after_the_commit(
        self, user, now, heard, django_capture_on_commit_callbacks
    ):
        """Receivers that close sockets hear of sessions that end by time."""
        session = SessionFactory(user=user)
        public_id = session.public_id

        with django_capture_on_commit_callbacks(execute=True):
            purge(now + 2 * HOUR)
            assert heard == []

        assert heard == [(public_id, user.pk, "idle", "system")]

    def test_event_dates_need_no_second_end(self, user, now):
        """A second run finds nothing left to do."""
        SessionFactory(user=user)
        purge(now + 2 * HOUR)

        assert purge(now + 2 * HOUR).total == 0
        assert SessionEvent.objects.filter(kind="idle").count() == 1


class TestDeleting:
    def test_expired_anonymous_sessions_go(self, now):
        """An anonymous session past its expiry leaves no trace."""
        SessionRowFactory(expires_at=now)
        SessionRowFactory(expires_at=now + MINUTE)

        assert purge(now) == Report(anonymous=1)
        assert Session.objects.get().expires_at > now
        assert not SessionEvent.objects.exists()

    def test_ended_sessions_go_after_their_history(self, settings, user, now):
        """An ended row is kept for HISTORY, for its owner and the audit."""
        settings.SECURE_SESSIONS = {"HISTORY": 7 * DAY}
        ended = {"user": user, "end_reason": "logout"}
        SessionRowFactory(ended_at=now - 7 * DAY, **ended)
        kept = SessionRowFactory(ended_at=now - 7 * DAY + MINUTE, **ended)

        assert purge(now) == Report(history=1)
        assert Session.objects.get() == kept

    def test_events_go_after_their_retention(self, settings, now):
        """An event is kept for EVENT_RETENTION."""
        settings.SECURE_SESSIONS = {"EVENT_RETENTION": 90 * DAY}
        EventFactory(at=now - 90 * DAY)
        kept = EventFactory(at=now - 89 * DAY)

        assert purge(now) == Report(events=1)
        assert SessionEvent.objects.get() == kept

    def test_events_stay_for_ever_without_a_retention(self, settings, now):
        """EVENT_RETENTION = None keeps the whole audit trail."""
        settings.SECURE_SESSIONS = {"EVENT_RETENTION": None}
        EventFactory(at=now - 3650 * DAY)

        assert purge(now).total == 0
        assert SessionEvent.objects.count() == 1

    def test_expired_trusted_devices_go(self, now):
        """Trust that has run out is forgotten."""
        TrustedDeviceFactory(created_at=now - 30 * DAY)
        kept = TrustedDeviceFactory(created_at=now)

        assert purge(now) == Report(devices=1)
        assert TrustedDevice.objects.get() == kept

    def test_nothing_past_its_time_is_left(self, user, now):
        """After one run nothing is due, in no table: no orphan stays behind."""
        for number in range(7):
            SessionRowFactory(expired=True)
            SessionRowFactory(expired=True, user=user)
            SessionRowFactory(user=user, ended_at=now - (40 + number) * DAY)
            EventFactory(at=now - 400 * DAY)
            TrustedDeviceFactory(created_at=now - 31 * DAY)

        report = purge(now, batch_size=3)

        assert report == Report(ended=7, anonymous=7, history=7, events=7, devices=7)
        assert purge(now, dry_run=True).total == 0
        # The seven that ended just now are all there is, with their events.
        assert Session.objects.count() == SessionEvent.objects.count() == 7
        assert not TrustedDevice.objects.exists()


class TestInSmallSteps:
    def test_dry_run_counts_and_changes_nothing(self, user, now):
        """A dry run tells what a run would do, and does none of it."""
        SessionRowFactory(expired=True)
        SessionRowFactory(expired=True, user=user)
        EventFactory(at=now - 400 * DAY)

        foretold = purge(now, dry_run=True)

        assert foretold == Report(ended=1, anonymous=1, events=1)
        assert Session.objects.filter(ended_at=None).count() == 2
        assert purge(now) == foretold

    def test_equal_dates_over_many_batches(self, now):
        """Rows that expire at the same moment don't hide one another."""
        SessionRowFactory.create_batch(10, expires_at=now - MINUTE)

        assert purge(now, batch_size=3).anonymous == 10
        assert not Session.objects.exists()

    def test_a_run_out_of_time_is_resumed_by_the_next(self, now):
        """max_seconds stops after a batch; the next run does the rest."""
        SessionRowFactory.create_batch(5, expired=True)

        first = purge(now, batch_size=2, max_seconds=0)
        second = purge(now)

        assert (first.anonymous, first.complete) == (2, False)
        assert (second.anonymous, second.complete) == (3, True)

    def test_progress_is_told_after_each_batch(self, now):
        """The caller sees the report grow batch by batch."""
        SessionRowFactory.create_batch(5, expired=True)
        seen = []

        purge(now, batch_size=2, progress=lambda report: seen.append(report.anonymous))

        assert seen[:3] == [2, 4, 5]

    def test_row_revived_after_its_selection_survives(self, now):
        """The DELETE asks again whether the row is due, so a revived one stays."""
        row = SessionRowFactory(expires_at=now - MINUTE)
        revived = False

        def revive(execute, sql, params, many, context):
            nonlocal revived
            if sql.startswith("DELETE") and not revived:
                revived = True
                Session.objects.filter(pk=row.pk).update(expires_at=now + HOUR)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(revive):
            report = purge(now)

        assert revived
        assert report.anonymous == 0
        assert Session.objects.get() == row

    def test_statements_do_not_grow_with_the_rows(self, user, now):
        """Within a batch it costs the same for one session as for fifty."""

        def statements():
            with CaptureQueriesContext(connection) as captured:
                purge(now)
            return len(captured)

        SessionRowFactory(expired=True, user=user)
        one = statements()
        SessionRowFactory.create_batch(50, expired=True, user=user)

        assert statements() == one

    def test_events_nobody_hears_stay_in_the_database(self, user, now):
        """Without listeners the events of a batch are copied, not fetched and sent."""
        SessionRowFactory.create_batch(2, expired=True, user=user)

        with CaptureQueriesContext(connection) as captured:
            purge(now)

        inserts = [q["sql"] for q in captured if q["sql"].startswith("INSERT")]
        assert len(inserts) == 1
        assert " SELECT " in inserts[0]

    def test_django_s_command_does_the_same(self, user):
        """clearsessions ends and deletes as cleanup_sessions does."""
        SessionRowFactory(expired=True)
        SessionRowFactory(expired=True, user=user)

        call_command("clearsessions")

        assert Session.objects.get().end_reason == "idle"

    def test_async_twin_does_the_same(self):
        """aclear_expired() is clear_expired() for those who await."""
        SessionRowFactory(expired=True)

        async_to_sync(SessionStore.aclear_expired)()

        assert not Session.objects.exists()

    def test_next_request_is_told_why(self, user, now, time_machine):
        """The browser of a session that the clean-up ended still learns the reason."""
        session = SessionFactory(user=user)
        time_machine.move_to(timezone.now() + 2 * HOUR)
        purge(timezone.now())

        later = SessionStore(session.session_key)

        assert later.user_id is None
        assert later.ended.reason == "idle"
        assert lifecycle.live_sessions(user) == []


class TestWrongClock:
    @pytest.fixture
    def many(self, user, now):
        """Return twelve live sessions: enough to ask before all of them end."""
        return SessionRowFactory.create_batch(
            12, user=user, created_at=now, expires_at=now + HOUR
        )

    def test_clock_far_ahead_is_refused(self, many, now, time_machine):
        """A clock a month ahead of the database's doesn't sign everybody out."""
        time_machine.move_to(timezone.now() + 30 * DAY)

        with pytest.raises(ClockMistrusted) as refusal:
            purge(timezone.now())

        assert (refusal.value.over, refusal.value.live) == (12, 12)
        assert refusal.value.ahead > 29 * DAY
        assert not Session.objects.ended().exists()

    @pytest.mark.parametrize(("count", "refused"), [(9, False), (10, True)])
    def test_ten_are_enough_to_ask(self, user, now, count, refused):
        """Below ten sessions a majority says nothing about a clock."""
        SessionRowFactory.create_batch(
            count, user=user, created_at=now, expires_at=now + HOUR
        )
        if refused:
            with pytest.raises(ClockMistrusted):
                purge(now + 30 * DAY)
        else:
            purge(now + 30 * DAY)

        assert Session.objects.ended().exists() is not refused

    def test_command_says_what_to_do(self, many, time_machine):
        """The command fails with the difference and names --force."""
        time_machine.move_to(timezone.now() + 30 * DAY)

        with pytest.raises(CommandError, match=r"ahead of the database.*--force"):
            call_command("cleanup_sessions")

        assert not Session.objects.ended().exists()

    def test_force_overrules(self, many, time_machine, capsys):
        """Who knows that the clock is right can say so."""
        time_machine.move_to(timezone.now() + 2 * HOUR)

        call_command("cleanup_sessions", force=True)

        assert Session.objects.ended().count() == 12

    def test_small_difference_is_normal(self, many, now):
        """Clocks that differ by minutes are taken as right."""
        Session.objects.update(expires_at=now + MINUTE)

        assert purge(now + 2 * MINUTE).ended == 12

    def test_few_ends_are_normal(self, many, now):
        """A clock ahead that ends less than half of the sessions is not refused."""
        Session.objects.update(expires_at=now + 3 * DAY)
        Session.objects.filter(pk=many[0].pk).update(expires_at=now + HOUR)

        assert purge(now + 2 * HOUR).ended == 1

    def test_backlog_does_not_look_like_a_wrong_clock(self, many, now):
        """Sessions that were over by the database's clock too don't count."""
        Session.objects.update(expires_at=now - HOUR)

        assert purge(now + 2 * HOUR).ended == 12


def _at_once(function, using=None, robust=False):
    function()
