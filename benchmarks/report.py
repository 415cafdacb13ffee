"""The results as reStructuredText tables, which also read well in a terminal."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from django.db import connection
from django_redis import get_redis_connection

from .engines import DJANGO_CACHED_DB, DJANGO_DB, Engine
from .measuring import Times
from .requests import SCENARIOS
from .tables import Sizes
from .throughput import Rates

_PACKAGES = (
    "Django",
    "django-secure-sessions",
    "django-user-sessions",
    "django-qsessions",
    "psycopg",
    "django-redis",
    "cryptography",
)
_FAMILIES = ((DJANGO_DB, "database"), (DJANGO_CACHED_DB, "cache"))


def tell(
    engines: Sequence[Engine],
    missing: Sequence[str],
    times: Times,
    sizes: Sizes,
    rates: Rates,
    command: str,
) -> str:
    """Return everything measured, and on what, as one text."""
    parts = [f".. Written by ``{command}``. Changes by hand will be lost.", ""]
    parts += _conditions(command, missing)
    for reference, family in _FAMILIES:
        members = [engine for engine in engines if engine.reference == reference]
        if not members:
            continue
        parts += _requests(f"Requests, {family} engines", members, times)
    parts += _by_count("Listing a user's three sessions", sizes.listing, "rows")
    parts += _by_count("Ending a user's three sessions", sizes.revoking, "rows")
    parts += _bytes(engines, sizes)
    parts += _rates(engines, rates)
    return "\n".join(parts).rstrip() + "\n"


def table(title: str, head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return a titled simple table, its first column to the left."""
    widths = [max(len(row[n]) for row in (head, *body)) for n in range(len(head))]
    rule = "  ".join("=" * width for width in widths)

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if n else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [
        f"**{title}**",
        "",
        rule,
        line(head),
        rule,
        *map(line, body),
        rule,
        "",
    ]


def _conditions(command: str, missing: Sequence[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        postgresql = cursor.fetchone()[0].split()[0]
    redis = get_redis_connection("default").info("server")["redis_version"]
    packages = ", ".join(f"{name} {found}" for name, found in _versions())
    lines = [
        f"Measured on {date.today().isoformat()} by ``{command}`` on "  # noqa: DTZ011
        f"{_machine()}, with Python {platform.python_version()}, {packages}, "
        f"PostgreSQL {postgresql} and Redis {redis}, everything on that machine.",
        "",
    ]
    if missing:
        lines += [f"Left out: {'; '.join(missing)}.", ""]
    return lines


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


def _requests(title: str, engines: Sequence[Engine], times: Times) -> list[str]:
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
    return table(title, head, body)


def _by_count(
    title: str, measured: Mapping[int, Mapping[str, float]], unit: str
) -> list[str]:
    if not measured:
        return []
    labels = list(next(iter(measured.values())))
    body = [
        [f"{count:,} {unit}", *(_milliseconds(of[label]) for label in labels)]
        for count, of in sorted(measured.items())
    ]
    return table(title, ["milliseconds", *labels], body)


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _bytes(engines: Sequence[Engine], sizes: Sizes) -> list[str]:
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
    return table("Bytes", head, body)


def _or_dash(value: float | None) -> str:
    return f"{value:,.0f}" if value else "-"


def _rates(engines: Sequence[Engine], rates: Rates) -> list[str]:
    if not rates:
        return []
    body = [
        [engine.label, *(f"{rates[count][engine.label]:,.0f}" for count in rates)]
        for engine in engines
    ]
    head = ["reads a second", *_counted(rates, "thread")]
    return table("Throughput of one process", head, body)


def _counted(counts: Mapping[int, object], word: str) -> list[str]:
    return [f"{count} {word}{'s' * (count != 1)}" for count in counts]
