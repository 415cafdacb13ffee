"""How many signed-in requests a second real servers answer, with each engine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, sleep

from django.db import connection

from .engines import DJANGO_CACHED_DB, DJANGO_DB, OUR_CACHED_DB, OUR_DB, Engine
from .load import Order, Visitor
from .measuring import turns
from .requests import Booth, make_users

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
COMPARED = (DJANGO_DB, OUR_DB, DJANGO_CACHED_DB, OUR_CACHED_DB)
VISITORS = 64
WARM_UP = 0.3  # seconds
PATIENCE = 60  # seconds in which a server has to start, or to end


@dataclass(frozen=True)
class Layout:
    """One server: its processes, and how many requests it is sent at a time."""

    server: str
    processes: int
    at_once: int

    @property
    def label(self) -> str:
        if self.server == "uvicorn":
            many = f"{self.at_once} at once"
            return many if self.processes == 1 else f"{self.processes} processes"
        if self.processes > 1:
            return f"{self.processes} processes"
        return f"{self.at_once} thread{'s' * (self.at_once > 1)}"

    @property
    def path(self) -> str:
        return "/async/" if self.server == "uvicorn" else "/sync/"

    @property
    def connections(self) -> int:
        """To the database, of one process."""
        return max(self.at_once // self.processes, 1)

    def command(self, port: int) -> list[str]:
        if self.server == "uvicorn":
            return ["benchmarks.asgi_server", str(port), str(self.processes)]
        return [
            *("gunicorn", "benchmarks.site:wsgi", "--bind", f"{HOST}:{port}"),
            *("--workers", str(self.processes), "--worker-class", "gthread"),
            *("--threads", str(self.connections), "--preload", "--no-control-socket"),
            *("--log-level", "warning"),
        ]


LAYOUTS = tuple(
    Layout(server, processes, at_once)
    for server in ("gunicorn", "uvicorn")
    for processes, at_once in ((1, 1), (1, 4), (1, 16), (4, 4), (16, 16))
)
FEW_LAYOUTS = tuple(layout for layout in LAYOUTS if layout.at_once == 4)

# Server -> layout -> engine -> requests a second.
Rates = dict[str, dict[str, dict[str, float]]]


def measure(
    engines: Sequence[Engine],
    layouts: Sequence[Layout],
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> Rates:
    """
    Start each server once an engine, and load them in turns.

    The median of the rounds is returned. The servers that wait for their turn keep
    their connections to the database: some seventy at most.
    """
    compared = [engine for engine in engines if engine.label in COMPARED]
    users = make_users(VISITORS, "busy")
    visitors = {}
    for engine in compared:
        cookies = Booth(engine).sign_in(users)
        visitors[engine.label] = [
            Visitor(cookie, user.get_username())
            for cookie, user in zip(cookies, users, strict=True)
        ]
    _require_connections(len(compared) * max(each.at_once for each in layouts))
    rates: Rates = defaultdict(dict)
    for layout in layouts:
        say(f"throughput: {layout.server}, {layout.label}")
        found: dict[str, list[float]] = defaultdict(list)
        with ExitStack() as stack:
            ports = {
                engine.label: stack.enter_context(_served(engine, layout))
                for engine in compared
            }
            for label, port in ports.items():
                _wait_for(port, visitors[label], layout)
            for _, order in turns(rounds, compared):
                for engine in order:
                    label = engine.label
                    rate = _load(ports[label], visitors[label], layout, seconds)
                    found[label].append(rate)
        rates[layout.server][layout.label] = {
            label: median(values) for label, values in found.items()
        }
    return rates


@contextmanager
def _served(engine: Engine, layout: Layout) -> Iterator[int]:
    """Run one server on a port that was free; end it afterwards."""
    port = _free_port()
    environment = {
        **os.environ,
        **engine.environment,
        "BENCHMARK_POOL": str(layout.connections * (layout.server == "uvicorn")),
    }
    command = [sys.executable, "-m", *layout.command(port)]
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=log, stderr=log
        )
        try:
            yield port
        except BaseException:
            log.seek(0)
            print(log.read()[-2000:], file=sys.stderr)
            raise
        finally:
            server.terminate()
            try:
                server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(port: int, visitors: Sequence[Visitor], layout: Layout) -> None:
    deadline = monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            if monotonic() > deadline:
                raise
            sleep(0.05)
        else:
            break
    # A process makes its first request slowly, and which gets one is left to chance.
    _load(port, visitors, layout, seconds=0.2 + layout.processes / 10)


def _load(
    port: int, visitors: Sequence[Visitor], layout: Layout, seconds: float
) -> float:
    order = Order(HOST, port, layout.path, layout.at_once, WARM_UP, seconds)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps({"order": order._asdict(), "visitors": visitors}),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return float(done.stdout)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


def _require_connections(needed: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int "
            "- current_setting('superuser_reserved_connections')::int "
            "- (SELECT count(*) FROM pg_stat_activity WHERE backend_type = "
            "'client backend')"
        )
        free = cursor.fetchone()[0]
    if free < needed:
        raise SystemExit(
            f"The servers need {needed} connections to PostgreSQL; {free} are free."
        )
