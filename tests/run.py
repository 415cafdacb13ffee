"""Run the test suite on every database found on this machine.

SQLite is always there. PostgreSQL, MariaDB and Redis are looked for at
POSTGRESQL_URL, MARIADB_URL and REDIS_URL; what is missing is said and left out,
unless REQUIRE_SERVICES=1, which makes it an error. Arguments that this program
does not know go to pytest. The last line printed sums up all runs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
CONNECT_TIMEOUT = 3  # seconds
ADDRESSES = {
    "POSTGRESQL_URL": "postgres://postgres@127.0.0.1:5432/test",
    "MARIADB_URL": "mysql://root@127.0.0.1:3306/test",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
}
# These use a database of their own, or none: the run on SQLite is enough.
APART = (
    "tests/browser",
    "tests/test_custom_user.py",
    "tests/test_example_project.py",
    "tests/test_packaging.py",
    "tests/test_typing.py",
)
# These race threads, kill servers and fill tables: once, on each database, is enough.
SLOW = (
    "tests/concurrency",
    "tests/contract/test_redis_topologies.py",
    "tests/faults",
    "tests/scale",
)


class Unavailable(Exception):
    """The service cannot be used from here; the text says why."""


def ask_postgresql(url: str) -> str:
    """Return the server's version, or raise Unavailable."""
    try:
        import psycopg
    except ImportError as error:
        raise Unavailable("the driver psycopg is not installed") from error
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT) as connection:
            number = connection.info.server_version
    except psycopg.Error as error:
        raise Unavailable(f"no answer at {without_password(url)}") from error
    return f"{number // 10000}.{number % 10000}"


def ask_mariadb(url: str) -> str:
    """Return the server's version, or raise Unavailable."""
    try:
        import MySQLdb
    except ImportError as error:
        raise Unavailable(
            "the driver mysqlclient is not installed"
            " (it needs libmariadb-dev, pkg-config and a C compiler)"
        ) from error
    parts = urlsplit(url)
    try:
        connection = MySQLdb.connect(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 3306,
            user=unquote(parts.username or "root"),
            password=unquote(parts.password or ""),
            connect_timeout=CONNECT_TIMEOUT,
        )
    except MySQLdb.Error as error:
        raise Unavailable(f"no answer at {without_password(url)}") from error
    version = str(connection.get_server_info())
    connection.close()
    return version


def ask_redis(url: str) -> str:
    """Return the server's version, or raise Unavailable."""
    try:
        import redis
    except ImportError as error:
        raise Unavailable("the driver redis is not installed") from error
    client = redis.Redis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT)
    try:
        facts: Any = client.info("server")
    except redis.RedisError as error:
        raise Unavailable(f"no answer at {without_password(url)}") from error
    finally:
        client.close()
    return str(facts["redis_version"])


def without_password(url: str) -> str:
    """Return `url` fit for a log."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}{parts.path}"


@dataclass(frozen=True)
class Service:
    """Something the suite can use and this machine may not have."""

    name: str
    variable: str
    ask: Callable[[str], str]

    @property
    def url(self) -> str:
        return os.environ.get(self.variable) or ADDRESSES[self.variable]


POSTGRESQL = Service("PostgreSQL", "POSTGRESQL_URL", ask_postgresql)
MARIADB = Service("MariaDB", "MARIADB_URL", ask_mariadb)
REDIS = Service("Redis", "REDIS_URL", ask_redis)
DATABASES: dict[str, Service | None] = {
    "sqlite": None,
    "postgresql": POSTGRESQL,
    "mariadb": MARIADB,
}


@dataclass(frozen=True)
class Tally:
    """What became of the tests of one run, or of all of them."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def read_tally(report: Path) -> Tally:
    """Count from pytest's JUnit report; no report counts as no test at all."""
    if not report.exists():
        return Tally()
    outcomes: dict[tuple[str | None, str | None], set[str]] = {}
    # The report was written by the pytest that this program has just run.
    for case in ET.parse(report).iter("testcase"):  # noqa: S314
        # A subtest has an element of its own, under the name of its test.
        key = (case.get("classname"), case.get("name"))
        outcomes.setdefault(key, set()).update(child.tag for child in case)
    failed = sum(bool(tags & {"failure", "error"}) for tags in outcomes.values())
    skipped = sum(
        "skipped" in tags and not tags & {"failure", "error"}
        for tags in outcomes.values()
    )
    return Tally(len(outcomes) - failed - skipped, failed, skipped)


def find(services: list[Service]) -> dict[Service, bool]:
    """Ask each service and say what came of it."""
    found = {}
    for service in services:
        try:
            print(f"{service.name:<12} found, version {service.ask(service.url)}")
        except Unavailable as reason:
            print(f"{service.name:<12} NOT FOUND: {reason}")
            found[service] = False
        else:
            found[service] = True
    return found


def run(
    database: str, *, brief: bool, redis: str, arguments: list[str], aside: bool
) -> tuple[int, Tally]:
    """
    Run pytest on one database; return its exit code and its tally.

    ``aside``, beside other runs, it prints nothing until it is over.
    """
    service = DATABASES[database]
    left_out = [*(APART if brief or service else []), *(SLOW if brief else [])]
    arguments = [*(f"--ignore={path}" for path in left_out), *arguments]
    environment: Mapping[str, str] = {
        **os.environ,
        # Empty means the default of tests/settings.py, a SQLite file.
        "DATABASE_URL": service.url if service else "",
        "REDIS_URL": redis,
    }
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *arguments]
        if not aside:
            print(f"\n--- {database}")
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            check=False,
            stdout=subprocess.PIPE if aside else None,
            stderr=subprocess.STDOUT if aside else None,
            text=True,
        )
        tally = read_tally(report)
    if aside:
        print(f"\n--- {database}\n{done.stdout}", end="")
    print(f"--- {database}: {tally} in {time.monotonic() - started:.0f} s")
    return done.returncode, tally


def rounds(number: int, database: str, **how: Any) -> tuple[int, Tally]:
    """Run pytest so many times, or until it fails; return the sum of the rounds."""
    code, total = 0, Tally()
    for done in range(number):
        if number > 1:
            print(f"--- {database}: round {done + 1} of {number}")
        code, tally = run(database, **how)
        total += tally
        if code:
            break
    return code, total


def redis_of(number: int) -> str:
    """Return the address of one of the databases of the Redis server."""
    parts = urlsplit(REDIS.url)
    first = int(parts.path.strip("/") or 0)
    return parts._replace(path=f"/{first + number}").geturl()


def main() -> int:
    """Return the exit code of the whole."""
    # Lines of this program and of pytest come out in the order they were written.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--database",
        action="append",
        choices=list(DATABASES),
        help="run on this database only; missing is then an error",
    )
    parser.add_argument(
        "--brief",
        action="store_true",
        help="leave out what is slow and the same on every Python and Django",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        help="run so many times, or until a test fails: for races",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="test this many databases at once, each on a Redis database of its own",
    )
    options, arguments = parser.parse_known_args()
    asked = options.database or list(DATABASES)
    services = [service for name in asked if (service := DATABASES[name])]

    print(f"{'SQLite':<12} always there")
    found = find([*services, REDIS])
    missing = [service.name for service, there in found.items() if not there]
    required = (
        [*services, REDIS]
        if os.environ.get("REQUIRE_SERVICES") == "1"
        else services
        if options.database
        else []
    )
    if refused := [service.name for service in required if not found[service]]:
        print(f"Stopped: {' and '.join(refused)} required and not found.")
        return 1

    chosen = [
        name for name in asked if (service := DATABASES[name]) is None or found[service]
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = [
            pool.submit(
                rounds,
                options.repeat,
                name,
                brief=options.brief,
                redis=redis_of(number),
                arguments=arguments,
                aside=options.jobs > 1,
            )
            for number, name in enumerate(chosen)
        ]
    codes, tallies = zip(*(each.result() for each in runs), strict=True)
    total = sum(tallies, Tally())
    if missing:
        print(f"\nNot tested, since not found: {', '.join(missing)}.")
    print(f"\n{total}")
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
