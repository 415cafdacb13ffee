"""The management commands, as a person at a terminal meets them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from datetime import timezone as utc
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from django_secure_sessions.client import identify
from django_secure_sessions.models import Authenticator, Session, SessionEvent
from tests.factories import SessionFactory, SessionRowFactory, UserFactory

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Terminal(StringIO):
    """An output that says it is a terminal."""

    def isatty(self):
        return True


def run(*args, **options):
    """Run a command and return what it printed."""
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def live():
    """Return the public ids of the sessions that have not ended."""
    return set(Session.objects.filter(ended_at=None).values_list("pk", flat=True))


class TestCleanup:
    def test_says_in_one_line_what_it_did(self, user):
        """The summary of a run fits in one line of a log."""
        SessionRowFactory(expired=True)
        SessionRowFactory.create_batch(2, expired=True, user=user)

        (line,) = run("cleanup_sessions").splitlines()

        assert line.startswith(
            "Ended 2 expired sessions; deleted 1 anonymous and 0 ended ones, "
            "0 events, 0 trusted devices in "
        )
        assert line.endswith(" s.")

    def test_dry_run_tells_and_does_nothing(self, user):
        """--dry-run counts what is due."""
        SessionRowFactory(expired=True, user=user)

        assert run("cleanup_sessions", dry_run=True) == (
            "Would end 1 expired sessions; delete 0 anonymous and 0 ended ones, "
            "0 events, 0 trusted devices.\n"
        )
        assert Session.objects.filter(ended_at=None).exists()

    def test_out_of_time_says_that_more_is_due(self):
        """A run that --max-seconds cut short says so and succeeds."""
        SessionRowFactory.create_batch(3, expired=True)

        line = run("cleanup_sessions", batch_size=1, max_seconds=0)

        assert line.endswith("Time is up; more is due.\n")
        assert Session.objects.count() == 2

    def test_terminal_sees_progress(self):
        """On a terminal a bar shows how much is done, then gives way."""
        SessionRowFactory.create_batch(4, expired=True)
        out = Terminal()

        call_command("cleanup_sessions", batch_size=2, stdout=out)

        frames = out.getvalue().split("\r")
        assert frames[1] == f"[{'#' * 15:<30}] 2 of 4"
        assert frames[2] == f"[{'#' * 30}] 4 of 4"
        assert "deleted 4 anonymous" in frames[-1]

    def test_terminal_with_nothing_due_sees_no_bar(self):
        """Five full bars of nothing would say nothing."""
        out = Terminal()

        call_command("cleanup_sessions", stdout=out)

        assert out.getvalue() == "Nothing to do.\n"

    @pytest.mark.parametrize("command", ["cleanup_sessions", "flush_activity"])
    @pytest.mark.parametrize("seconds", ["-1", "nan"])
    def test_time_has_a_bound(self, command, seconds):
        """A time that is none is refused, not taken for "stop at once"."""
        with pytest.raises(CommandError, match="--max-seconds must be 0 or more"):
            call_command(command, f"--max-seconds={seconds}")

    def test_quiet_run_prints_nothing(self):
        """--verbosity 0 is for timers that mail every output."""
        assert run("cleanup_sessions", verbosity=0) == ""

    @pytest.mark.parametrize("rows", [0, -1, 1_000_000])
    def test_batch_size_has_bounds(self, rows):
        """A batch that no database could take is refused."""
        with pytest.raises(CommandError, match="--batch-size must be between"):
            run("cleanup_sessions", batch_size=rows)


class TestRevoke:
    def test_by_user(self, user):
        """--user ends all sessions of that user and nobody else's."""
        SessionFactory(user=user)
        SessionFactory(user=user)
        other = SessionFactory(user=UserFactory())

        assert run("revoke_sessions", user=[user.username]) == "Sessions ended: 2\n"

        assert live() == {other.public_id}
        assert set(
            SessionEvent.objects.filter(kind="revoked").values_list("user", "actor")
        ) == {(user.pk, "command")}

    def test_by_several_users(self, user):
        """--user given twice ends the sessions of both."""
        other = UserFactory()
        SessionFactory(user=user)
        SessionFactory(user=other)

        output = run("revoke_sessions", user=[user.username, other.username])

        assert output == "Sessions ended: 2\n"

    def test_unknown_user_is_an_error(self, user):
        """A misspelt name ends nothing and is not taken for success."""
        SessionFactory(user=user)

        with pytest.raises(CommandError, match="There is no user 'nobody'"):
            run("revoke_sessions", user=[user.username, "nobody"])

        assert len(live()) == 1

    @pytest.mark.parametrize(
        ("asked", "ended"),
        [
            ("203.0.113.5", {"one"}),
            ("203.0.113.0/24", {"one", "two"}),
            ("203.0.0.0/16", {"one", "two", "three"}),
            ("2001:db8::/32", {"six"}),
            ("198.51.100.0/24", set()),
        ],
    )
    def test_by_address(self, asked, ended):
        """--ip takes an address or a network of either family."""
        addresses = {
            "one": "203.0.113.5",
            "two": "203.0.113.77",
            "three": "203.0.7.1",
            "six": "2001:db8::1",
        }
        found = {
            name: SessionFactory(ip=ip).public_id for name, ip in addresses.items()
        }
        SessionFactory(ip=None)

        call_command("revoke_sessions", "--ip", asked, stdout=StringIO())

        assert {name for name, pk in found.items() if pk not in live()} == ended

    def test_by_truncated_address(self, settings):
        """Where addresses are stored truncated, an address reaches its network."""
        settings.SECURE_SESSIONS = {"IP_PRIVACY": "truncated"}
        SessionFactory(ip="203.0.113.0")
        kept = SessionFactory(ip="203.0.114.0")
        err = StringIO()

        call_command(
            "revoke_sessions", "--ip", "203.0.113.5", stdout=StringIO(), stderr=err
        )

        assert live() == {kept.public_id}
        assert "whole /24 or /48" in err.getvalue()

    @pytest.mark.parametrize("asked", ["203.0.113.5", "203.0.113.0/24"])
    def test_by_hashed_address(self, settings, rf, asked):
        """Where addresses are hashed, an address or its /24 is still found."""
        settings.SECURE_SESSIONS = {"IP_PRIVACY": "hashed"}
        SessionFactory(ip=_as_stored(rf, "203.0.113.5"))
        kept = SessionFactory(ip=_as_stored(rf, "203.0.114.5"))

        call_command("revoke_sessions", "--ip", asked, stdout=StringIO())

        assert live() == {kept.public_id}

    def test_hashed_addresses_know_no_other_network(self, settings, rf):
        """A network that hashes can't be compared with is refused, not ignored."""
        settings.SECURE_SESSIONS = {"IP_PRIVACY": "hashed"}
        SessionFactory(ip=_as_stored(rf, "203.0.113.5"))

        with pytest.raises(CommandError, match="only single addresses and whole /24"):
            call_command("revoke_sessions", "--ip", "203.0.0.0/16")

        assert len(live()) == 1

    def test_without_stored_addresses_it_is_an_error(self, settings):
        """IP_PRIVACY "off" leaves nothing to compare with."""
        settings.SECURE_SESSIONS = {"IP_PRIVACY": "off"}

        with pytest.raises(CommandError, match="no session knows its address"):
            call_command("revoke_sessions", "--ip", "203.0.113.5")

    def test_by_age(self, user):
        """--older-than counts from the login, or from the beginning without one."""
        now = timezone.now()
        far = {"expires_at": now + DAY}
        SessionRowFactory(user=user, created_at=now - 3 * HOUR, **far)
        SessionRowFactory(created_at=now - 3 * HOUR, **far)
        young = SessionRowFactory(
            user=user, created_at=now - 3 * HOUR, authenticated_at=now - HOUR, **far
        )

        call_command("revoke_sessions", "--older-than", "1h30m", stdout=StringIO())

        assert live() == {young.pk}

    @pytest.mark.parametrize("text", ["", "7", "h", "1y", "-1h", "1h 5"])
    def test_age_that_is_none_is_an_error(self, text):
        """A duration without a unit is refused: seconds or days is anyone's guess."""
        with pytest.raises(CommandError, match="--older-than"):
            call_command("revoke_sessions", "--older-than", text)

    def test_by_public_id(self, user):
        """--session ends the one session with this public id."""
        session = SessionFactory(user=user)
        kept = SessionFactory(user=user)

        call_command(
            "revoke_sessions", "--session", str(session.public_id), stdout=StringIO()
        )

        assert live() == {kept.public_id}

    def test_filters_must_all_match(self, user):
        """A user and an address together mean this user from there."""
        SessionFactory(user=user, ip="203.0.113.5")
        SessionFactory(user=user, ip="198.51.100.1")
        SessionFactory(ip="203.0.113.5")

        output = run("revoke_sessions", "--ip", "203.0.113.5", user=[user.username])

        assert output == "Sessions ended: 1\n"
        assert len(live()) == 2

    def test_dry_run_only_counts(self, user):
        """--dry-run says how many it would end, also by address."""
        SessionFactory(user=user, ip="203.0.113.5")

        output = run("revoke_sessions", "--ip", "203.0.113.0/24", dry_run=True)

        assert output == "Sessions that would end: 1\n"
        assert len(live()) == 1

    def test_all_ends_anonymous_ones_too(self, user):
        """--all leaves no session, with or without a user."""
        SessionFactory(user=user)
        SessionFactory(user=None)

        output = run("revoke_sessions", "--all", "--no-input")

        assert output == "Sessions ended: 2\n"
        assert live() == set()

    def test_all_asks_first(self, monkeypatch, user):
        """--all says how many sessions it is about, and ends them after a "yes"."""
        SessionFactory(user=user)
        asked = _answer(monkeypatch, "yes")

        assert run("revoke_sessions", "--all") == "Sessions ended: 1\n"

        assert "Live sessions: 1" in asked[0]
        assert live() == set()

    @pytest.mark.parametrize("answer", ["", "y", "no"])
    def test_any_other_answer_ends_nothing(self, monkeypatch, user, answer):
        """Only the whole word is a confirmation."""
        SessionFactory(user=user)
        _answer(monkeypatch, answer)

        with pytest.raises(CommandError, match="Nothing was ended"):
            run("revoke_sessions", "--all")

        assert len(live()) == 1

    def test_all_where_nobody_can_be_asked(self, monkeypatch, user):
        """Without a terminal the error says how to do it, and nothing ends."""
        SessionFactory(user=user)
        monkeypatch.setattr("sys.stdin", StringIO(""))

        with pytest.raises(CommandError, match="--no-input"):
            run("revoke_sessions", "--all")

        assert len(live()) == 1

    @pytest.mark.parametrize("args", [[], ["--all", "--user", "alice"]])
    def test_it_must_be_clear_what_is_meant(self, args):
        """No filter at all, or one beside --all, is refused."""
        with pytest.raises(CommandError, match="either --all or any of"):
            call_command("revoke_sessions", *args)

    def test_ended_ones_are_not_counted_again(self, user):
        """A second run ends nothing."""
        SessionFactory(user=user)
        run("revoke_sessions", user=[user.username])

        assert run("revoke_sessions", user=[user.username]) == "Sessions ended: 0\n"

    def test_more_than_one_page(self, user, django_assert_max_num_queries):
        """Hundreds of sessions end in a few statements."""
        SessionRowFactory.create_batch(620, user=user)

        with django_assert_max_num_queries(20):
            output = run("revoke_sessions", user=[user.username])

        assert output == "Sessions ended: 620\n"
        assert live() == set()


class TestList:
    def test_table_shows_live_sessions(self, user):
        """Each live session is a line: who, where, on what, since when, how long."""
        session = SessionFactory(user=user)
        SessionFactory(user=None)

        heading, line = run("list_sessions").splitlines()

        assert heading.split("  ")[0] == "Session"
        assert heading.endswith("Expires")
        for text in (
            str(session.public_id),
            user.username,
            "192.0.2.7",
            "Firefox on Linux",
            f"{session.created_at:%Y-%m-%d %H:%M:%S}",
            f"{session.last_activity + HOUR / 2:%Y-%m-%d %H:%M:%S}",
        ):
            assert text in line

    def test_idle_session_is_not_live(self, user):
        """A session that the next request would find idle is not listed."""
        now = timezone.now()
        SessionRowFactory(user=user, created_at=now - HOUR, expires_at=now + HOUR)

        assert len(run("list_sessions").splitlines()) == 1

    def test_json_is_for_programs(self, user):
        """--json gives the same facts, times in ISO 8601, no secrets."""
        session = SessionFactory(user=user)

        (found,) = json.loads(run("list_sessions", json=True))

        assert found["id"] == str(session.public_id)
        assert (found["user"], found["aal"], found["reason"]) == (user.username, 1, "")
        assert found["created_at"].startswith(f"{session.created_at:%Y-%m-%dT%H:%M:%S}")
        assert set(found) == {
            "id",
            "user",
            "ip_address",
            "device",
            "created_at",
            "last_activity",
            "expires_at",
            "aal",
            "impersonator",
            "ended_at",
            "reason",
        }

    def test_no_secret_is_shown(self, user):
        """Neither the key, nor its digest, nor the payload is in any output."""
        session = SessionFactory(user=user)
        row = Session.objects.get()
        secrets = (session.session_key, str(row.key_digest), row.key_digest.hex)

        printed = run("list_sessions") + run("list_sessions", json=True)

        assert not any(secret in printed for secret in secrets)

    def test_of_one_user(self, user):
        """--user restricts the list."""
        SessionFactory(user=user)
        SessionFactory()

        found = json.loads(run("list_sessions", user=[user.username], json=True))

        assert [session["user"] for session in found] == [user.username]

    def test_ended_ones_say_why(self, user):
        """--ended lists the history, the latest first, with the reason."""
        now = timezone.now()
        SessionRowFactory(user=user, ended_at=now - DAY, end_reason="idle")
        SessionRowFactory(user=user, ended_at=now - HOUR, end_reason="revoked")
        SessionFactory(user=user)

        heading, *lines = run("list_sessions", ended=True).splitlines()

        assert heading.endswith("Reason")
        assert [line.split()[-1] for line in lines] == ["revoked", "idle"]

    def test_unknown_user_is_an_error(self, user):
        """A misspelt name is not taken for somebody without sessions."""
        with pytest.raises(CommandError, match="There is no user 'nobody'"):
            run("list_sessions", user=[user.username, "nobody"])

        with pytest.raises(CommandError, match="There is no user 'nobody'"):
            run("list_sessions", user=["nobody"], json=True)

    @pytest.mark.parametrize(
        ("zone", "shown"),
        [("UTC", "12:00:00 UTC"), ("Europe/Berlin", "13:00:00 CET")],
    )
    def test_times_say_their_zone(self, user, settings, zone, shown):
        """A time in the table can be compared with a log of another machine."""
        settings.TIME_ZONE = zone
        noon = datetime(2026, 1, 15, 12, tzinfo=utc.utc)
        SessionRowFactory(user=user, ended_at=noon, end_reason="idle")

        assert f"2026-01-15 {shown}" in run("list_sessions", ended=True)

    @pytest.mark.parametrize(("limit", "listed"), [(2, 2), (0, 3)])
    def test_limit(self, user, limit, listed):
        """--limit cuts the list; 0 doesn't."""
        SessionRowFactory.create_batch(3, user=user)

        assert len(json.loads(run("list_sessions", limit=limit, json=True))) == listed

    def test_negative_limit_is_an_error(self):
        """A negative number is refused, not sliced."""
        with pytest.raises(CommandError, match="--limit must be 0 or more"):
            run("list_sessions", limit=-1)

    def test_names_cannot_drive_the_terminal(self):
        """Control characters in a name are spelt out."""
        SessionFactory(user=UserFactory(username="\x1b[2Jmallory"))

        printed = run("list_sessions")

        assert "\x1b" not in printed
        assert r"'\x1b[2Jmallory'" in printed


@pytest.mark.django_db(transaction=True)
class TestForgottenMigrate:
    """Before ``migrate`` ran, a command says that, in one line."""

    COMMANDS = (
        ("cleanup_sessions",),
        ("flush_activity",),
        ("list_sessions",),
        ("reseal_secrets",),
        ("revoke_sessions", "--all", "--no-input"),
    )

    @pytest.fixture
    def tables_missing(self, monkeypatch, settings):
        """The database of a site that has not been migrated, as a command sees it."""
        settings.SECURE_SESSIONS = {"TOUCH_STORE": "cache"}
        for model in (Session, Authenticator):
            monkeypatch.setattr(model._meta, "db_table", "absent")

    @pytest.fixture
    def unmigrated(self, tables_missing):
        migrations = MigrationRecorder(connection)
        migrations.record_unapplied("django_secure_sessions", "0001_initial")
        yield
        migrations.record_applied("django_secure_sessions", "0001_initial")

    @pytest.mark.parametrize("command", COMMANDS, ids=lambda found: found[0])
    def test_says_so(self, unmigrated, command):
        """The error names the command that helps."""
        with pytest.raises(CommandError, match=r"Run: python manage\.py migrate"):
            run(*command)

    def test_other_errors_of_the_database_are_themselves(self, tables_missing):
        """A table that is gone after all migrations is another matter."""
        with pytest.raises(DatabaseError):
            run("list_sessions")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("package", ["django-otp", "django-allauth"])
def test_an_import_from_a_package_that_was_never_here(package):
    """Without the other package's table there is nothing to take over."""
    with pytest.raises(CommandError, match=package):
        run("import_authenticators", package)


def _as_stored(rf, address):
    """Return an address as the privacy mode in force stores it."""
    return identify(rf.get("/", REMOTE_ADDR=address)).ip


def _answer(monkeypatch, text):
    """Answer what input() asks, and return the list of what it asked."""
    asked = []

    def answer(question):
        asked.append(question)
        return text

    monkeypatch.setattr("builtins.input", answer)
    return asked
