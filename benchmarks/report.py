"""The results of a comparison, as paragraphs and tables."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from django.db import connection
from django_redis import get_redis_connection

from .cleanup import Cleanup
from .engines import DJANGO_CACHED_DB, DJANGO_DB, Engine
from .measuring import Times
from .requests import SCENARIOS
from .tables import Sizes
from .throughput import Rates
from .writing import Block, Table

_PACKAGES = (
    "Django",
    "django-secure-sessions",
    "django-user-sessions",
    "django-qsessions",
    "psycopg",
    "django-redis",
    "cryptography",
    "gunicorn",
    "uvicorn",
)
_FAMILIES = ((DJANGO_DB, "database"), (DJANGO_CACHED_DB, "cache"))


def tell(
    engines: Sequence[Engine],
    missing: Sequence[str],
    times: Times,
    rates: Rates,
    sizes: Sizes,
    cleanups: Mapping[str, Cleanup],
    command: str,
) -> list[Block]:
    """Return everything measured, and on what."""
    blocks: list[Block] = [conditions(command)]
    if missing:
        blocks.append(f"Left out: {'; '.join(missing)}.")
    for reference, family in _FAMILIES:
        members = [engine for engine in engines if engine.reference == reference]
        if members:
            blocks.append(_requests(f"Requests, {family} engines", members, times))
    blocks += _rates(rates)
    blocks += _by_count("Listing a user's three sessions", sizes.listing)
    blocks += _by_count("Ending a user's three sessions", sizes.revoking)
    blocks += _cleanups(cleanups)
    blocks.append(_bytes(engines, sizes))
    return blocks


def conditions(command: str) -> str:
    """Say when, by what and on what something was measured."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        postgresql = cursor.fetchone()[0].split()[0]
    redis = get_redis_connection("default").info("server")["redis_version"]
    packages = ", ".join(f"{name} {found}" for name, found in _versions())
    return (
        f"Measured on {date.today().isoformat()} by ``{command}`` on "  # noqa: DTZ011
        f"{_machine()}, with Python {platform.python_version()}, {packages}, "
        f"PostgreSQL {postgresql} and Redis {redis}, everything on that machine."
    )


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in _PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if sys.platform == "linux" and cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{os.cpu_count()} cores of {model}, {platform.system()}"


def _requests(title: str, engines: Sequence[Engine], times: Times) -> Table:
    head = ["microseconds", *(engine.label for engine in engines)]
    body = []
    for scenario in SCENARIOS:
        cells = [scenario]
        for engine in engines:
            added = times.added(scenario, engine.label)
            ratio = times.ratio(scenario, engine.label, engine.reference)
            if added is None or ratio is None:
                cells.append("-")
            else:
                cells.append(f"{added:,.0f} ({ratio:.2f})")
        body.append(cells)
    return Table(title, head, body)


def _by_count(
    title: str, measured: Mapping[int, Mapping[str, float]]
) -> Iterator[Table]:
    if not measured:
        return
    labels = list(next(iter(measured.values())))
    body = [
        [f"{count:,} rows", *(_milliseconds(of[label]) for label in labels)]
        for count, of in sorted(measured.items())
    ]
    yield Table(title, ["milliseconds", *labels], body)


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _rates(rates: Rates) -> Iterator[Table]:
    for server, layouts in rates.items():
        labels = list(next(iter(layouts.values())))
        body = [
            [layout, *(f"{of[label]:,.0f}" for label in labels)]
            for layout, of in layouts.items()
        ]
        yield Table(f"Throughput under {server}", ["requests a second", *labels], body)


def _cleanups(cleanups: Mapping[str, Cleanup]) -> Iterator[Table]:
    if not cleanups:
        return
    body = [
        [
            label,
            f"{each.rate:,.0f}",
            _milliseconds(each.idle.middle),
            _milliseconds(each.meanwhile.middle),
            _milliseconds(each.idle.p99),
            _milliseconds(each.meanwhile.p99),
            _milliseconds(each.meanwhile.slowest),
        ]
        for label, each in cleanups.items()
    ]
    head = [
        "``clearsessions``",
        "rows a second",
        "median read",
        "meanwhile",
        "p99",
        "meanwhile",
        "slowest",
    ]
    yield Table("Clean-up, and a read in milliseconds before and meanwhile", head, body)


def _bytes(engines: Sequence[Engine], sizes: Sizes) -> Table:
    body = [
        [
            engine.label,
            _or_dash(sizes.heap.get(engine.label)),
            _or_dash(sizes.indexes.get(engine.label)),
            _or_dash(
                sizes.heap.get(engine.label, 0) + sizes.indexes.get(engine.label, 0)
            ),
            _or_dash(sizes.redis.get(engine.label)),
        ]
        for engine in engines
    ]
    head = ["bytes of a session", "table", "indexes", "PostgreSQL", "Redis"]
    return Table("Bytes", head, body)


def _or_dash(value: float | None) -> str:
    return f"{value:,.0f}" if value else "-"
