"""``clearsessions`` over many expired rows, and what a reader feels of it meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from time import perf_counter, sleep
from typing import Any

from django.db import connection
from django.utils import timezone

from django_secure_sessions.models import SessionEvent

from .engines import Engine
from .requests import Booth, make_users, read, request
from .tables import copy, empty

ROOT = Path(__file__).resolve().parent.parent
# Seconds between two reads. A reader that never rests would itself be the load.
PAUSE = 0.002
LIVE_SHARE = 5  # one live row for so many expired ones


@dataclass(frozen=True)
class Reads:
    """How long reads took, in milliseconds."""

    middle: float
    p99: float
    slowest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Reads:
        cuts = quantiles(seconds, n=100, method="inclusive")
        return cls(cuts[49] * 1000, cuts[98] * 1000, max(seconds) * 1000)


@dataclass(frozen=True)
class Cleanup:
    """Rows cleared a second, and the reads of a bystander before and meanwhile."""

    rate: float
    idle: Reads
    meanwhile: Reads


def measure(
    engines: Sequence[Engine], rows: int, idle: float, say: Callable[[str], None]
) -> dict[str, Cleanup]:
    """
    Have each engine that keeps rows clear as many expired ones, one after another.

    Ours deletes those of anonymous visitors, and ends those of users: a row stays,
    with its reason, and an event is written. Each is measured for itself. The reader
    reads for ``idle`` seconds before the command starts.
    """
    found = {}
    reader = make_users(1, "reader")
    for engine in engines:
        if not engine.model or engine.is_cached:
            continue
        for kind in (", signed in", ", anonymous") if engine.is_ours else ("",):
            label = engine.label + kind
            say(f"clean-up: {label}, {rows:,} rows")
            booth = Booth(engine)
            booth.cookies = booth.sign_in(reader)
            _expire(engine, rows, anonymous=kind == ", anonymous")
            found[label] = _clear(booth, rows, idle)
            empty(engine.model_class, SessionEvent)
    return found


def _expire(engine: Engine, rows: int, *, anonymous: bool) -> None:
    """Put expired copies of the reader's session beside it, and live ones."""
    column = _expiry(engine)
    copy(engine, rows // LIVE_SHARE, {column: f"{column} + random() * interval '1 h'"})
    expired = {column: "now() - interval '1 hour' * (1 + random())"}
    if anonymous:
        expired["user_id"] = "NULL"
    copy(engine, rows, expired)
    table = connection.ops.quote_name(engine.model_class._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {table}")


def _clear(booth: Booth, rows: int, idle: float) -> Cleanup:
    engine = booth.engine
    assert _count_expired(engine) == rows
    with engine.chosen(), _command(engine) as command:
        began = perf_counter()
        before = _read(booth, lambda: perf_counter() - began < idle)
        command.stdin.write("go\n")
        command.stdin.flush()
        meanwhile = _read(booth, lambda: command.poll() is None)
        seconds = float(command.stdout.read())
    assert _count_expired(engine) == 0
    return Cleanup(rows / seconds, Reads.of(before), Reads.of(meanwhile))


@contextmanager
def _command(engine: Engine) -> Iterator[Any]:
    """Start the command, wait until it is ready, and see it off."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.clearing"],
        env={**os.environ, **engine.environment},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("clearsessions did not start")
        yield process
    finally:
        process.kill()
        process.communicate()


def _read(booth: Booth, goes_on: Callable[[], bool]) -> list[float]:
    """Read the session again and again; return how long each read took."""
    [cookie] = booth.cookies
    handler, samples = booth.handlers[read], []
    while goes_on() or len(samples) < 2:
        asked = request(cookie)
        began = perf_counter()
        handler(asked)
        samples.append(perf_counter() - began)
        sleep(PAUSE)
    return samples


def _expiry(engine: Engine) -> str:
    return "expires_at" if engine.is_ours else "expire_date"


def _count_expired(engine: Engine) -> int:
    due = {f"{_expiry(engine)}__lte": timezone.now()}
    if engine.is_ours:
        due["ended_at"] = None
    count: int = engine.model_class.objects.filter(**due).count()
    return count
