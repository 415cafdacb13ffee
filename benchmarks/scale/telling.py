"""The study as tables, and what follows from it for larger numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from benchmarks.report import conditions
from benchmarks.writing import Block, Table, restructured

from .filling import SESSIONS, Bytes
from .memory import Memory
from .plans import Answer
from .touching import Course, Sample, Upkeep, average

_SETTINGS = (
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "fsync",
    "full_page_writes",
    "wal_compression",
    "wal_level",
)
SITES = (1_000_000, 100_000_000, 1_000_000_000)
# Of the live sessions, how many are active in a given minute: an assumption.
ACTIVE = 0.1
INTERVAL = 60  # seconds: TOUCH_INTERVAL
HALF_IDLE = 900  # seconds: half of IDLE_TIMEOUT
PAGE = 8192


@dataclass(frozen=True)
class Study:
    """
    What was measured.

    ``live``, ``ended`` and ``indexes`` are of tables of ``small`` rows whose indexes
    grew with them; ``dense`` is by fillfactor, of ``rows`` rows with new indexes.
    """

    rows: int
    small: int
    kept: int
    entries: int
    live: Bytes
    ended: Bytes
    indexes: Mapping[str, int]
    dense: Mapping[int, Bytes]
    courses: Sequence[Course]
    upkeeps: Sequence[Upkeep]
    answers: Sequence[Answer]
    redis: Mapping[str, Memory]


def tell(study: Study, command: str) -> str:
    """Return the study as one text in reStructuredText."""
    blocks: list[Block] = [
        conditions(command),
        _settings(),
        *_bytes(study),
        _redis(study),
        _sites(study),
        _fillfactors(study),
        _wal(study),
        _upkeep(study),
        _plans(study),
    ]
    return restructured(blocks, command)


def _settings() -> str:
    with connection.cursor() as cursor:
        told = []
        for name in _SETTINGS:
            cursor.execute(f"SHOW {name}")
            told.append(f"``{name}`` {cursor.fetchone()[0]}")
    return f"PostgreSQL runs with {', '.join(told)}."


def _bytes(study: Study) -> list[Table]:
    head = ["bytes a row", "table", "indexes", "both"]
    return [
        Table(
            f"PostgreSQL, {study.small:,} rows, indexes grown with them",
            head,
            [
                _row("live session", study.live, study.small),
                _row("ended session, kept as history", study.ended, study.small),
            ],
        ),
        Table(
            f"PostgreSQL, {study.rows:,} live sessions, indexes new",
            head,
            [
                _row(f"fillfactor {fillfactor}", size, study.rows)
                for fillfactor, size in sorted(study.dense.items(), reverse=True)
            ],
        ),
        Table(
            f"Each index, {study.small:,} live sessions",
            ["index", "bytes a row"],
            [
                [name, f"{size / study.small:,.1f}"]
                for name, size in sorted(study.indexes.items())
            ],
        ),
    ]


def _row(label: str, size: Bytes, rows: int) -> list[str]:
    return [label, *(f"{n / rows:,.0f}" for n in (*size, sum(size)))]


def _redis(study: Study) -> Table:
    return Table(
        f"Redis, {study.entries:,} sessions",
        ["bytes a session", "keys", "MEMORY USAGE", "server grew by"],
        [
            [label, str(of.keys), f"{of.usage:,.0f}", f"{of.grown:,.0f}"]
            for label, of in study.redis.items()
        ],
    )


def _sites(study: Study) -> Table:
    """What the measured figures come to, multiplied."""
    live, ended = (sum(size) / study.small for size in (study.live, study.ended))
    in_place = average(_in_place(study, bare=True))
    imaged = average(_in_place(study, bare=False))
    touched = study.redis["read and touched"].grown
    only_touch = touched - study.redis["read"].grown

    def rates(count: int) -> list[str]:
        active = count * ACTIVE
        touches = active / INTERVAL
        return [
            f"{live * count / 1e9:,.1f} GB",
            f"{ended * count / 1e9:,.1f} GB",
            f"{touches:,.0f}",
            _megabytes(in_place and touches * in_place[2]),
            _megabytes(imaged and touches * imaged[2]),
            f"{active / HALF_IDLE:,.0f}",
            f"{touched * active / 1e9:,.2f} GB",
            f"{(touched * active + only_touch * (count - active)) / 1e9:,.2f} GB",
        ]

    labels = [
        "table and indexes, all live",
        "the same, all history",
        "touches a second",
        "WAL of these, in place",
        "the same, a page image each",
        'touches a second, ``TOUCH_STORE = "cache"``',
        "Redis, ``CACHE_TTL`` 60 s",
        'Redis, ``TOUCH_STORE = "cache"``',
    ]
    columns = [rates(count) for count in SITES]
    return Table(
        f"Computed: sessions, {ACTIVE:.0%} of them active in any minute",
        ["sessions", *(f"{count:,}" for count in SITES)],
        [[label, *(column[n] for column in columns)] for n, label in enumerate(labels)],
    )


def _megabytes(value: float | None) -> str:
    return "-" if value is None else f"{value / 1e6:,.1f} MB/s"


def _fillfactors(study: Study) -> Table:
    courses = sorted(study.courses, key=lambda each: -each.fillfactor)
    first, more = courses[0].first.touches, courses[0].more.touches
    lines: dict[str, Callable[[Course], str]] = {
        f"HOT, first {first:,}": lambda c: f"{c.first.hot:.1%}",
        f"HOT, next {more:,}": lambda c: f"{c.more.hot:.1%}",
        f"HOT, {first:,} after vacuum": lambda c: f"{c.later.hot:.1%}",
        "table grew by": lambda c: _growth(
            c.first.before.heap, c.more.after.heap, study.dense[c.fillfactor].heap
        ),
        "indexes grew by": lambda c: _growth(
            c.first.before.indexes,
            c.more.after.indexes,
            study.dense[c.fillfactor].indexes,
        ),
        "table after all, bytes a row": lambda c: (
            f"{c.later.after.heap / study.rows:,.0f}"
        ),
        "dead rows before vacuum": lambda c: f"{c.more.after.dead:,}",
        f"WAL a touch, first {first:,}": lambda c: f"{c.first.wal:,.0f} B",
        f"WAL a touch, next {more:,}": lambda c: f"{c.more.wal:,.0f} B",
        f"WAL a touch, {first:,} after vacuum": lambda c: f"{c.later.wal:,.0f} B",
        f"page images a touch, first {first:,}": lambda c: f"{c.first.images:.2f}",
        f"page images a touch, {first:,} after vacuum": lambda c: (
            f"{c.later.images:.2f}"
        ),
        "WAL of the vacuum": lambda c: f"{c.vacuum.wal / 1e6:,.0f} MB",
        "pages it made dirty": lambda c: f"{c.vacuum.dirtied:,}",
        "autovacuum would rest for": lambda c: f"{c.vacuum.seconds:,.0f} s",
    }
    return Table(
        f"Touches of random sessions among {study.rows:,}, by fillfactor",
        ["fillfactor", *(str(each.fillfactor) for each in courses)],
        [[label, *map(cell, courses)] for label, cell in lines.items()],
    )


def _growth(before: int, after: int, whole: int) -> str:
    return f"{(after - before) / whole:.1%}"


def _in_place(study: Study, *, bare: bool) -> list[Sample]:
    """Samples of touches that were HOT, without page images or right with them."""
    taken = [
        each
        for course in study.courses
        for each in (*course.fresh, *course.settled)
        if each.hot
    ]
    return [each for each in taken if (each.images == 0) == bare]


def _wal(study: Study) -> Table:
    touches = [
        each for course in study.courses for each in (*course.fresh, *course.settled)
    ]
    moving = [each for course in study.courses for each in course.moving]
    kinds = {
        "touch, in place (HOT)": [each for each in touches if each.hot],
        "touch, to another page": [each for each in touches if not each.hot],
        "touch that moves the expiry": moving,
    }
    body = []
    for label, samples in kinds.items():
        bare = average(each for each in samples if not each.images)
        imaged = average(each for each in samples if each.images)
        body.append(
            [
                label,
                f"{bare[0]:.1f}" if bare else "-",
                f"{bare[2]:,.0f} B" if bare else "-",
                f"{imaged[1]:.1f}" if imaged else "-",
                f"{imaged[2]:,.0f} B" if imaged else "-",
            ]
        )
    return Table(
        "WAL of one touch, without and with images of pages new since a checkpoint",
        ["kind", "records", "without images", "images", "with images"],
        body,
    )


def _upkeep(study: Study) -> Table:
    body = []
    for each in study.upkeeps:
        touches = each.whole.touches
        cleaning = sum(vacuum.wal for vacuum in each.vacuums)
        before, after = each.whole.before, each.whole.after
        body.append(
            [
                f"fillfactor {each.fillfactor}, scale factor {each.scale}",
                f"{len(each.vacuums)}",
                f"{each.last.hot:.1%}",
                f"{after.heap / before.heap - 1:.0%}",
                f"{after.indexes / before.indexes - 1:.0%}",
                f"{each.whole.wal:,.0f} B",
                f"{cleaning / touches:,.0f} B",
                f"{max((v.seconds for v in each.vacuums), default=0):,.1f} s",
            ]
        )
    rounds = study.upkeeps[0].whole.touches / study.kept
    return Table(
        f"Autovacuum's rule: {rounds:.0f} touches a session among {study.kept:,}",
        [
            "setting",
            "vacuums",
            "HOT, 2nd half",
            "table",
            "indexes",
            "WAL a touch",
            "of it vacuum",
            "longest rest",
        ],
        body,
    )


def _plans(study: Study) -> Table:
    return Table(
        f"Questions to {study.rows:,} sessions",
        ["question", "rows", "pages", "ms", "how"],
        [
            [
                f"{each.question}: {each.verb}",
                f"{each.rows:,}",
                f"{each.pages:,}",
                f"{each.milliseconds:,.1f}",
                each.way.replace(SESSIONS, "session"),
            ]
            for each in study.answers
        ],
    )
