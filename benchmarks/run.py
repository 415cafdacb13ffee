"""
Compare session engines on this machine, in one interleaved run.

Needs PostgreSQL and Redis (POSTGRESQL_URL, REDIS_URL). Makes a database of its own
and removes it, and touches no key in Redis but its own. ``make bench`` takes some
twelve minutes and writes docs/reference/benchmarks.inc, .md and .svg; ``make bench
ARGS=--quick`` takes less than one and prints.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

DOCS = Path(__file__).resolve().parent.parent / "docs" / "reference"


@dataclass(frozen=True)
class Effort:
    """
    How much is measured.

    ``seconds`` is how long a server is loaded in one turn, of which there are
    ``turns``; ``expired`` is the number of rows to clean up, which a reader reads
    beside for ``idle`` seconds first.
    """

    rounds: int
    samples: int
    rows: tuple[int, ...]
    seconds: float
    turns: int
    every_layout: bool
    expired: int
    idle: float


QUICK = Effort(
    rounds=2,
    samples=25,
    rows=(10_000,),
    seconds=0.3,
    turns=1,
    every_layout=False,
    expired=5000,
    idle=0.5,
)
FULL = Effort(
    rounds=20,
    samples=100,
    rows=(10_000, 100_000, 1_000_000),
    seconds=1,
    turns=3,
    every_layout=True,
    expired=200_000,
    idle=4,
)


@contextmanager
def databases() -> Iterator[None]:
    """Have an empty database and no keys in Redis, and leave neither behind."""
    import psycopg
    from django.core.cache import caches
    from django.core.management import call_command
    from django.db import connections

    from .settings import OWN, POSTGRESQL_URL

    cache: Any = caches["default"]

    def drop() -> None:
        connections.close_all()
        server.execute(f"DROP DATABASE IF EXISTS {OWN} WITH (FORCE)")
        cache.delete_pattern("*", itersize=10_000)

    with psycopg.connect(POSTGRESQL_URL, autocommit=True) as server:
        drop()
        server.execute(f"CREATE DATABASE {OWN}")
        try:
            call_command("migrate", verbosity=0, interactive=False)
            yield
        finally:
            drop()


def main() -> int:
    """Measure, report, and return the exit status."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, printed")
    parser.add_argument("--rounds", type=int, help="of requests, each some 5 s")
    parser.add_argument("--rows", type=int, nargs="*", help="sizes of the tables")
    parser.add_argument("--only", default="", help="engines whose label contains this")
    options = parser.parse_args()
    effort = QUICK if options.quick else FULL
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    if options.rows is not None:
        effort = replace(effort, rows=tuple(options.rows))
    given = shlex.join(sys.argv[1:])
    command = f"make bench ARGS='{given}'" if given else "make bench"
    django.setup()
    from . import chart, cleanup, engines, report, requests, tables, throughput
    from .writing import markdown, restructured

    found, missing = engines.available()
    found = [engine for engine in found if options.only in engine.label]
    with databases():
        times = requests.measure(found, effort.rounds, effort.samples, say)
        layouts = throughput.LAYOUTS if effort.every_layout else throughput.FEW_LAYOUTS
        rates = throughput.measure(found, layouts, effort.turns, effort.seconds, say)
        sizes = tables.measure(found, effort.rows, say)
        cleanups = cleanup.measure(found, effort.expired, effort.idle, say)
        told = report.tell(found, missing, times, rates, sizes, cleanups, command)
    text = restructured(told, command)
    print(text)
    if not (options.quick or options.only):
        (DOCS / "benchmarks.inc").write_text(text)
        (DOCS / "benchmarks.md").write_text(markdown(told, command, "Benchmarks"))
        (DOCS / "benchmarks.svg").write_text(chart.draw(found, times, command))
        say(f"written: {DOCS / 'benchmarks.inc'}, .md and .svg")
    return 0


def say(text: str) -> None:
    """Tell whoever waits how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
