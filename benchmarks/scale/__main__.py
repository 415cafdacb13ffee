"""
Study a large table of sessions, and Redis in front of it, by what they take.

Needs PostgreSQL 15 or newer, as a superuser, and Redis (POSTGRESQL_URL, REDIS_URL),
which should do nothing else meanwhile: bytes written are counted for the whole
server. Makes a database of its own and removes it, and touches no key in Redis but
its own. ``make bench-scale`` takes some forty minutes and twenty gigabytes, and
writes docs/explanation/scale.inc; ``make bench-scale ARGS=--quick`` takes a minute and
prints.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

from benchmarks.run import databases, say

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "scale.inc"


@dataclass(frozen=True)
class Extent:
    """
    How much is studied.

    ``kept`` is the number of rows that are touched ``rounds`` times each while
    vacuum keeps up; ``small`` that of the tables whose sizes are told by the row.
    """

    rows: int
    touches: int
    small: int
    kept: int
    rounds: int
    entries: int
    fillfactors: Sequence[int] = (100, 90, 80, 70)
    scales: Sequence[float] = (0.2, 0.05, 0.01)


FULL = Extent(
    rows=10_000_000,
    touches=2_000_000,
    small=1_000_000,
    kept=200_000,
    rounds=5,
    entries=1_000_000,
)
QUICK = Extent(
    rows=50_000,
    touches=20_000,
    small=10_000,
    kept=10_000,
    rounds=2,
    entries=10_000,
    fillfactors=(100, 80),
    scales=(0.2,),
)


def measure(extent: Extent):
    """Run the whole study. Everything in it is measured, nothing computed."""
    from benchmarks import engines
    from benchmarks.requests import Booth

    from . import filling, memory, plans, touching
    from .telling import Study

    found = {engine.label: engine for engine in engines.available()[0]}
    booth, cached = Booth(found[engines.OUR_DB]), Booth(found[engines.OUR_CACHED_DB])
    filling.sow(booth, extent.rows)
    touching.check(booth)
    cached.cookies = booth.cookies
    redis = memory.measure(cached, extent.entries, say)
    live = filling.fill(extent.small, say, grown=True)
    indexes = filling.weigh_indexes()
    ended = filling.fill(extent.small, say, grown=True, ended=True)
    courses, dense, answers = [], {}, []
    for fillfactor in extent.fillfactors:
        dense[fillfactor] = filling.fill(extent.rows, say, fillfactor=fillfactor)
        courses.append(
            touching.run_course(fillfactor, extent.rows, extent.touches, say)
        )
        if not answers:
            say("plans")
            touching.vacuum()
            answers = plans.ask(booth)
    upkeeps = []
    for fillfactor in extent.fillfactors[:2]:
        for scale in extent.scales:
            filling.fill(extent.kept, say, fillfactor=fillfactor, grown=True)
            upkeeps.append(
                touching.keep_up(fillfactor, scale, extent.kept, extent.rounds, say)
            )
    return Study(
        extent.rows,
        extent.small,
        extent.kept,
        extent.entries,
        live,
        ended,
        indexes,
        dense,
        courses,
        upkeeps,
        answers,
        redis,
    )


def main() -> int:
    """Study, report, and return the exit status."""
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute, printed")
    parser.add_argument("--rows", type=int, help="of the large table")
    parser.add_argument("--touches", type=int, help="of the large table")
    parser.add_argument(
        "--small", type=int, help="rows of tables that are only weighed"
    )
    parser.add_argument("--kept", type=int, help="rows that vacuum keeps up with")
    parser.add_argument("--entries", type=int, help="sessions in Redis")
    options = vars(parser.parse_args())
    quick = options.pop("quick")
    given = {name: value for name, value in options.items() if value is not None}
    extent = replace(QUICK if quick else FULL, **given)
    arguments = shlex.join(sys.argv[1:])
    command = (
        f"make bench-scale ARGS='{arguments}'" if arguments else "make bench-scale"
    )
    django.setup()
    from .telling import tell

    with databases():
        text = tell(measure(extent), command)
    print(text)
    if not quick:
        PAGE.write_text(text)
        say(f"written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
