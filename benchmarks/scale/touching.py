"""Touches by the million, and what they leave behind in a PostgreSQL table."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from statistics import mean
from typing import NamedTuple

from django.db import connection, connections

from benchmarks.requests import Booth, read, request

from .filling import ID, SESSIONS, weigh

# As the engine sends it, which ``check`` makes sure of.
TOUCH = (
    f'UPDATE "{SESSIONS}" SET "last_activity" = {{}} '
    'WHERE "id" = {} AND "last_activity" <= {} AND "ended_at" IS NULL'
)
# Once an idle timeout a touch moves the recorded expiry too, which is indexed.
MOVING = TOUCH.replace(' WHERE "id"', ', "expires_at" = {} WHERE "id"')
WORKERS = 2
SAMPLES = 1000
# For the disk: it would take most of the time, and no figure here is one of time.
_NO_WAIT = "SET synchronous_commit = off"
# Of this connection since it last told the server, which is not in a transaction.
_COUNTED = (
    "SELECT pg_stat_get_xact_tuples_hot_updated(%s::regclass), "
    "pg_stat_get_xact_tuples_updated(%s::regclass)"
)

_PROCEDURE = f"""
    CREATE OR REPLACE PROCEDURE touch_sessions(touches bigint, sessions bigint)
    LANGUAGE plpgsql AS $$
    DECLARE moment timestamptz; target uuid;
    BEGIN
        FOR number IN 1..touches LOOP
            moment := clock_timestamp();
            target := {ID.format("(1 + floor(random() * sessions))::bigint")};
            {TOUCH.format("moment", "target", "moment")};
            COMMIT;  -- one transaction each, as requests are
        END LOOP;
    END $$
"""

# PostgreSQL's defaults since 14: what autovacuum pays for a page found in memory,
# fetched, made dirty; and the seconds it rests for each so many of these points.
_HIT, _MISS, _DIRTY, _LIMIT, _DELAY = 1, 2, 20, 200, 0.002


class Totals(NamedTuple):
    """Counters that only grow, and what the table is now. Bytes and numbers."""

    updates: int
    hot: int
    wal: int
    images: int
    dead: int
    heap: int
    indexes: int


@dataclass(frozen=True)
class Phase:
    """A number of touches: the state before, and after."""

    before: Totals
    after: Totals

    @property
    def touches(self) -> int:
        return self.after.updates - self.before.updates

    @property
    def hot(self) -> float:
        """The share of touches that left every index alone."""
        return (self.after.hot - self.before.hot) / self.touches

    @property
    def wal(self) -> float:
        """Bytes a touch, page images and commit included."""
        return (self.after.wal - self.before.wal) / self.touches

    @property
    def images(self) -> float:
        """Whole pages in the WAL for each touch."""
        return (self.after.images - self.before.images) / self.touches


@dataclass(frozen=True)
class Vacuum:
    """What one VACUUM did. WAL in bytes, pages by how they were had."""

    wal: int
    hits: int
    misses: int
    dirtied: int

    @property
    def seconds(self) -> float:
        """How long autovacuum would rest on the way, at PostgreSQL's defaults."""
        points = self.hits * _HIT + self.misses * _MISS + self.dirtied * _DIRTY
        return points / _LIMIT * _DELAY


class Sample(NamedTuple):
    """One touch, looked at with EXPLAIN."""

    hot: bool
    records: int
    images: int
    bytes: int


def check(booth: Booth) -> None:
    """Refuse to go on if the engine's touch is another statement than ours."""
    sent: list[str] = []

    def note(execute, sql, params, many, context):
        sent.append(sql)
        return execute(sql, params, many, context)

    with (
        booth.engine.chosen(SECURE_SESSIONS={"TOUCH_INTERVAL": 0}),
        connection.execute_wrapper(note),
    ):
        booth.handlers[read](request(booth.cookies[0]))
    assert TOUCH.format("%s", "%s", "%s") in sent, sent


def touch(touches: int, rows: int) -> Phase:
    """Touch random sessions from several connections, one transaction each."""
    before = totals()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(_NO_WAIT)
                cursor.execute(
                    "CALL touch_sessions(%s, %s)", [touches // WORKERS, rows]
                )
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    with connection.cursor() as cursor:
        cursor.execute(_PROCEDURE)
    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return Phase(before, totals())


def totals() -> Totals:
    # Statistics of a connection are certain to be told when it closes.
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd, "
            "pg_current_wal_insert_lsn() - '0/0'::pg_lsn, wal_fpi, n_dead_tup "
            "FROM pg_stat_user_tables, pg_stat_wal WHERE relname = %s",
            [SESSIONS],
        )
        return Totals(*map(int, cursor.fetchone()), *weigh())


def checkpoint() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")


def vacuum() -> Vacuum:
    """Vacuum as autovacuum would, but at once, and report its work."""
    told: list[str] = []
    connection.ensure_connection()
    raw = connection.connection

    def hear(message) -> None:
        told.append(message.message_primary or "")

    raw.add_notice_handler(hear)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM (VERBOSE, ANALYZE) {SESSIONS}")
    finally:
        raw.remove_notice_handler(hear)
    text = "\n".join(told)
    pages = re.findall(r"buffer usage: (\d+) hits, (\d+) \w+, (\d+) dirtied", text)
    wal = re.findall(r"WAL usage: .* (\d+) bytes", text)
    hits, misses, dirtied = (sum(map(int, each)) for each in zip(*pages, strict=True))
    return Vacuum(sum(map(int, wal)), hits, misses, dirtied)


def sample(statement: str, rows: int, seed: int) -> list[Sample]:
    """Execute single touches and return what each wrote."""
    moment = "clock_timestamp()"
    target = ID.format("%s")
    sql = statement.format(
        moment,
        *([f"{moment} + interval '1 hour'"] if statement is MOVING else []),
        target,
        moment,
    )
    found = []
    random = Random(seed)  # noqa: S311 - a sample, no secret
    with connection.cursor() as cursor:
        cursor.execute(_NO_WAIT)
    raw = connection.connection
    for _ in range(SAMPLES):
        with raw.transaction(), raw.cursor() as cursor:
            before = cursor.execute(_COUNTED, [SESSIONS, SESSIONS]).fetchone()
            cursor.execute(
                "EXPLAIN (ANALYZE, WAL, TIMING OFF, FORMAT JSON) " + sql,
                [str(random.randint(1, rows))],
            )
            plan = cursor.fetchone()[0][0]["Plan"]
            after = cursor.execute(_COUNTED, [SESSIONS, SESSIONS]).fetchone()
        hot, updated = (new - old for new, old in zip(after, before, strict=True))
        if updated:
            found.append(
                Sample(
                    bool(hot),
                    plan["WAL Records"],
                    plan["WAL FPI"],
                    plan["WAL Bytes"],
                )
            )
    return found


def average(samples: Iterable[Sample]) -> tuple[float, float, float] | None:
    """Return the mean of records, page images and bytes; ``None`` if of nothing."""
    found = list(samples)
    if not found:
        return None
    return (
        mean(each.records for each in found),
        mean(each.images for each in found),
        mean(each.bytes for each in found),
    )


@dataclass(frozen=True)
class Course:
    """One fillfactor from a fresh table on. ``later`` follows the vacuum."""

    fillfactor: int
    first: Phase
    more: Phase
    vacuum: Vacuum
    later: Phase
    fresh: list[Sample]
    settled: list[Sample]
    moving: list[Sample]


def run_course(
    fillfactor: int, rows: int, touches: int, say: Callable[[str], None]
) -> Course:
    """Touch a table that was just filled; vacuum it; touch it again."""
    quarter = touches // 4
    checkpoint()
    fresh = sample(TOUCH, rows, fillfactor)
    checkpoint()
    say(f"fillfactor {fillfactor}: {quarter:,} touches")
    first = touch(quarter, rows)
    say(f"fillfactor {fillfactor}: {touches - quarter:,} more")
    more = touch(touches - quarter, rows)
    settled = sample(TOUCH, rows, fillfactor + 1)
    say(f"fillfactor {fillfactor}: vacuum")
    vacuumed = vacuum()
    checkpoint()
    moving = sample(MOVING, rows, fillfactor + 2)
    settled += sample(TOUCH, rows, fillfactor + 3)
    checkpoint()
    say(f"fillfactor {fillfactor}: {quarter:,} after it")
    later = touch(quarter, rows)
    settled += sample(TOUCH, rows, fillfactor + 4)
    moving += sample(MOVING, rows, fillfactor + 5)
    return Course(fillfactor, first, more, vacuumed, later, fresh, settled, moving)


@dataclass(frozen=True)
class Upkeep:
    """Many touches with autovacuum's rule followed. ``last``: the second half."""

    fillfactor: int
    scale: float
    before: Totals
    whole: Phase
    last: Phase
    vacuums: list[Vacuum]


def keep_up(
    fillfactor: int, scale: float, rows: int, rounds: int, say: Callable[[str], None]
) -> Upkeep:
    """
    Touch each session ``rounds`` times on average, vacuuming as autovacuum would.

    It does when more than ``scale`` of the rows, and 50, are dead.
    """
    say(f"fillfactor {fillfactor}, scale factor {scale}: {rounds * rows:,} touches")
    step = max(int(rows * scale / 2), rows // 20)
    vacuums: list[Vacuum] = []
    begun = half = totals()
    done = 0
    while done < rounds * rows:
        now = touch(step, rows).after
        done += step
        if now.dead > 50 + scale * rows:
            vacuums.append(vacuum())
        if done <= rounds * rows / 2:
            half = totals()
    over = totals()
    return Upkeep(
        fillfactor, scale, begun, Phase(begun, over), Phase(half, over), vacuums
    )
