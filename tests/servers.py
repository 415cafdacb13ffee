"""Servers that a test starts for itself, on free loopback ports, and may break."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from unittest import mock

import psycopg
import redis
from django.core.management import call_command
from django.db import connection

REDIS = shutil.which("redis-server")
MEMCACHED = shutil.which("memcached")
# Debian keeps the server's programs off the path, or leads to some by links.
POSTGRESQL = shutil.which("initdb") or max(
    map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None
)
START_TIMEOUT = 60  # seconds
# Below those that Linux gives to outgoing connections, as is each of them + 10000.
PORTS = range(12768, 22768)


def free_port():
    """Return a port that nobody listens on, nor on the one 10000 above it."""
    while True:
        # Not `random`: its seed, and so its choice, is the same in parallel runs.
        port = secrets.choice(PORTS)
        # The second is where the nodes of a Redis Cluster talk to each other.
        if is_free(port) and is_free(port + 10000):
            return port


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Server:
    """A process that listens on a port of its own."""

    # Arguments of Popen: as whom it runs.
    identity: ClassVar[dict[str, str]] = {}

    def __init__(self):
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="server_"))
        self.process = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def command(self):
        raise NotImplementedError

    def start(self):
        """Start, for the first time or again, and wait for the port to answer."""
        log = self.folder / "log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - the programs named above
                self.command(),
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                **self.identity,
            )
        wait_for(lambda: self.process.poll() is not None or self.answers())
        if self.process.returncode is not None:
            raise RuntimeError(f"the server ended at once: {log.read_text()}")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def kill(self):
        """End it at once, as a crash does."""
        self.process.kill()
        self.process.wait()

    def pause(self):
        """Leave it there, but deaf: connections are accepted, nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.folder)


class RedisServer(Server):
    """Redis without persistence: what is started again is empty."""

    def __init__(self, *options):
        self.options = options
        super().__init__()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self):
        return [
            REDIS,
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(self.folder)),
            *self.options,
        ]


class Sentinel(Server):
    """A sentinel that watches one master, under the name `name`."""

    def __init__(self, master, patience=300):
        self.master = master
        # Milliseconds without an answer after which the master counts as gone.
        self.patience = patience
        self.name = f"sessions{master.port}"
        super().__init__()

    def command(self):
        config = self.folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\n"
            f"sentinel monitor {self.name} 127.0.0.1 {self.master.port} 1\n"
            f"sentinel down-after-milliseconds {self.name} {self.patience}\n"
            f"sentinel failover-timeout {self.name} 1000\n"
        )
        return [REDIS, str(config), "--sentinel"]


class RedisCluster:
    """Three masters that share the slots, and no replicas."""

    def __init__(self):
        self.nodes = []
        try:
            for _ in range(3):
                self.nodes.append(RedisServer("--cluster-enabled", "yes"))
            self._join()
        except BaseException:
            self.close()
            raise

    def _join(self):
        clients = [redis.Redis(port=node.port) for node in self.nodes]
        bounds = [0, 5461, 10923, 16384]
        for number, client in enumerate(clients):
            first, last = bounds[number], bounds[number + 1] - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)
        wait_for(lambda: all(is_whole(client) for client in clients))
        for client in clients:
            client.close()

    @property
    def url(self):
        return self.nodes[0].url

    def close(self):
        for node in self.nodes:
            node.close()


def is_whole(client):
    """Whether a node of a cluster knows of a master for every slot."""
    state = client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in state and b"cluster_known_nodes:3" in state


class MemcachedServer(Server):
    def command(self):
        return [MEMCACHED, "-u", "nobody", "-l", "127.0.0.1", "-p", str(self.port)]


class PostgresServer(Server):
    """PostgreSQL with data of its own, or a standby `of` another such server."""

    # It refuses to run as root.
    identity = {} if os.geteuid() else {"user": "postgres", "group": "postgres"}

    def __init__(self, *options, of=None):
        self.options = options
        self.of = of
        super().__init__()

    @property
    def data(self):
        return self.folder / "data"

    def start(self):
        if not self.data.exists():
            self._fill()
        super().start()

    def _fill(self):
        self.folder.chmod(0o777)
        if self.of is None:
            self._run("initdb", "-U", "postgres", "-A", "trust", "--no-sync")
        else:
            source = f"host=127.0.0.1 port={self.of.port} user=postgres"
            options = ("-R", "-c", "fast", "--no-sync")
            self._run("pg_basebackup", "-d", source, *options)

    def _run(self, program, *arguments):
        subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            [self._program(program), "-D", self.data, *arguments],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            **self.identity,
        )

    @staticmethod
    def _program(name):
        return Path(POSTGRESQL).resolve().with_name(name)

    def command(self):
        return [
            self._program("postgres"),
            *("-D", self.data, "-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
            # A killed process loses nothing by it, and its recovery need not wait
            # until a busy disk has written what others left to it.
            *("-c", "fsync=off"),
            *self.options,
        ]

    def answers(self):
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False  # or still at recovery
        return True

    def connect(self):
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", autocommit=True
        )

    def promote(self):
        """Make a standby the primary, and wait until it takes writes."""
        self._run("pg_ctl", "promote")

    def close(self):
        if self.process is not None and self.process.poll() is None:
            # Unlike a killed one, it ends its children before itself.
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def connected_to(*servers):
    """
    Have Django, in every thread, talk to whichever of these PostgreSQL takes writes.

    It gets the site's tables; rows stay there.
    """
    connection.close()
    elsewhere = {
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": ",".join("127.0.0.1" for _ in servers),
        "PORT": ",".join(str(server.port) for server in servers),
        "OPTIONS": {"target_session_attrs": "read-write", "connect_timeout": 5},
    }
    # Connections of new threads are made from the same dictionary.
    with mock.patch.dict(connection.settings_dict, elsewhere):
        try:
            call_command("migrate", verbosity=0)
            yield
        finally:
            connection.close()


def wait_for(condition, timeout=START_TIMEOUT):
    """Return once `condition()` is true; raise TimeoutError if that never comes."""
    until = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{condition} is still false")
        time.sleep(0.01)
