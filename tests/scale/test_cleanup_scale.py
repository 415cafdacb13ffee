"""A clean-up of a table nobody cleaned for long, while the site goes on.

SCALE_ROWS is the number of expired rows; a fifth as many are live beside them. It
is small unless set: CI sets a million.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection, connections
from django.utils import timezone

from django_secure_sessions.backends.retention import Report, purge
from django_secure_sessions.models import Session, SessionEvent
from tests.factories import SessionFactory, UserFactory

ROWS = int(os.environ.get("SCALE_ROWS") or 20_000)
# Of the expired: what most sites have most of first.
ANONYMOUS, HISTORY = ROWS * 7 // 10, ROWS * 2 // 10
SIGNED_IN = ROWS - ANONYMOUS - HISTORY
LIVE = ROWS // 5
MEBIBYTE = 2**20

FILL = """
    INSERT INTO django_secure_sessions_session
        (id, key_digest, user_id, data, version, created_at, authenticated_at,
         last_activity, expires_at, aal, amr, ip_address, user_agent, impersonator,
         ended_at, end_reason)
    SELECT gen_random_uuid(), gen_random_uuid(), %(user)s,
        decode(repeat('5e', 120), 'hex'), 1,
        now() - %(age)s::interval,
        CASE WHEN %(user)s::int IS NULL THEN NULL ELSE now() - %(age)s::interval END,
        now() - %(age)s::interval,
        now() + %(left)s::interval - number * interval '10 milliseconds',
        1, 'pwd', '192.0.2.7', 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0', '',
        now() - %(ended)s::interval - number * interval '10 milliseconds',
        CASE WHEN %(ended)s::interval IS NULL THEN '' ELSE 'logout' END
    FROM generate_series(1, %(rows)s) AS number
"""


@pytest.fixture
def crowd(transactional_db):
    """Return a reader's session, in a table full of expired ones."""
    user = UserFactory()
    reader = SessionFactory(user=user)
    with connection.cursor() as cursor:
        # Loading is no part of what is measured, so it may skip the server's log.
        cursor.execute("ALTER TABLE django_secure_sessions_session SET UNLOGGED")
        for rows, owner, age, left, ended in (
            (ANONYMOUS, None, "20 days", "-1 day", None),
            (SIGNED_IN, user.pk, "2 days", "-1 day", None),
            (HISTORY, user.pk, "60 days", "-40 days", "40 days"),
            (LIVE, user.pk, "1 second", "1 day", None),
        ):
            values = {
                "rows": rows,
                "user": owner,
                "age": age,
                "left": left,
                "ended": ended,
            }
            cursor.execute(FILL, values)
        cursor.execute("ALTER TABLE django_secure_sessions_session SET LOGGED")
        cursor.execute("ANALYZE django_secure_sessions_session")
    yield reader
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE django_secure_sessions_session, "
            "django_secure_sessions_sessionevent"
        )


class Reader(threading.Thread):
    """
    Loads one session again and again, as requests do, and notes how long it took.

    A read that had to wait for a lock fails instead.
    """

    def __init__(self, session):
        super().__init__(daemon=True)
        self.store, self.session_key = type(session), session.session_key
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self.done = threading.Event()

    def run(self):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '1ms'")
            while not self.done.wait(0.02):
                began = time.perf_counter()
                if self.store(self.session_key).get("colour") != "blue":
                    self.failures.append("not loaded")
                self.seconds.append(time.perf_counter() - began)
        except Exception as error:
            self.failures.append(repr(error))
        finally:
            connections.close_all()


@pytest.mark.scale
@pytest.mark.vendor("postgresql")
def test_clean_up_of_a_neglected_table_goes_unnoticed(crowd):
    """A neglected table is cleaned in constant memory, and no request waits for it."""
    reader = Reader(crowd)
    reader.start()
    # What the first batch needs, the thousandth needs no more of.
    first = purge(timezone.now(), max_seconds=0)
    memory = [memory_in_use()]
    began = time.perf_counter()

    report = purge(
        timezone.now(), progress=lambda report: memory.append(memory_in_use())
    )

    seconds = time.perf_counter() - began
    grown = max(memory) - memory[0]
    reader.done.set()
    reader.join(10)
    assert reader.failures == []
    assert len(reader.seconds) > ROWS / 10_000
    slowest = max(reader.seconds) * 1000
    sys.stdout.write(
        f"{report.total} rows in {seconds:.0f} s, {len(reader.seconds)} reads "
        f"meanwhile, the slowest {slowest:.0f} ms, {grown // 1024} KiB more\n"
    )

    assert report == Report(
        ended=SIGNED_IN, anonymous=ANONYMOUS - first.anonymous, history=HISTORY
    )
    assert purge(timezone.now(), dry_run=True).total == 0
    assert Session.objects.filter(ended_at=None).count() == LIVE + 1
    assert Session.objects.filter(end_reason="idle").count() == SIGNED_IN
    assert SessionEvent.objects.filter(kind="idle").count() == SIGNED_IN
    assert grown < 16 * MEBIBYTE


def memory_in_use():
    """Return the bytes of this process in memory now; elsewhere than on Linux, ever."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024)
    return pages * resource.getpagesize()
