"""Run the example site as a visitor would find it: a process behind a port."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection, HTTPMessage
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urljoin, urlsplit

import psycopg
import pytest

from tests.run import POSTGRESQL, Service, Unavailable
from tests.settings import SUFFIX

MANAGE = Path(__file__).resolve().parent.parent / "example_project" / "manage.py"
DATABASE = "example.sqlite3"
ADDRESS = re.compile(r"http://localhost:\d+")
FORM_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
# Seconds. Only a machine that is stuck needs this long.
PATIENCE = 120


def environment(directory: Path, **changes: str) -> dict[str, str]:
    """Return the variables for one site with its own SQLite file in ``directory``."""
    # What the tests run on must not reach the site.
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DJANGO_SETTINGS_MODULE", "REDIS_URL", "SECRET_KEY", "DEBUG"}
    }
    return {
        **kept,
        "DATABASE_URL": f"sqlite:///{directory / DATABASE}",
        "PORT": "0",
        "PYTHONUNBUFFERED": "1",
        **changes,
    }


def manage(
    *arguments: str, directory: Path, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run one command of the example site to its end."""
    return subprocess.run(  # noqa: S603
        [sys.executable, str(MANAGE), *arguments],
        env=environment(directory, **changes),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def borrowed_database(service: Service) -> Iterator[str]:
    """Make a database for one site on a server that answers, drop it afterwards."""
    try:
        service.ask(service.url)
    except Unavailable as reason:
        pytest.skip(f"{service.name}: {reason}")
    name = f"test_secure_sessions_demo_{SUFFIX}_{os.getpid()}"
    with closing(_connect(service)) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(service.url)._replace(path=f"/{name}").geturl()
        finally:
            connection.cursor().execute(f"DROP DATABASE {name}")


def _connect(service: Service) -> Any:
    if service is POSTGRESQL:
        # Databases are made outside of transactions.
        return psycopg.connect(service.url, autocommit=True)
    import MySQLdb

    parts = urlsplit(service.url)
    return MySQLdb.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
    )


@dataclass(frozen=True)
class Site:
    """A running demo: where it answers and what it said on the way up."""

    address: str
    greeting: str
    process: subprocess.Popen[str]
    directory: Path

    def set_back(self, username: str, column: str, by: timedelta) -> None:
        """Move one of the times of a reader's live sessions into the past."""
        with closing(sqlite3.connect(self.directory / DATABASE)) as database:
            database.execute(
                f"""
                UPDATE django_secure_sessions_session
                SET {column} = strftime('%Y-%m-%d %H:%M:%f', {column}, ?)
                WHERE ended_at IS NULL AND user_id =
                    (SELECT id FROM auth_user WHERE username = ?)
                """,  # noqa: S608
                (f"-{by.total_seconds()} seconds", username),
            )
            database.commit()

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def running_site(directory: Path, **changes: str) -> Iterator[Site]:
    """Start the demo on a free port with a database of its own; stop it after."""
    log = directory / "server.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(  # noqa: S603
            [sys.executable, str(MANAGE), "demo"],
            env=environment(directory, **changes),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said: list[str] = []
            for line in process.stdout:
                said.append(line)
                if "Ctrl-C" in line:
                    break
            else:
                raise RuntimeError("".join(said) + log.read_text())
            greeting = "".join(said)
            found = ADDRESS.search(greeting)
            assert found is not None, greeting
            yield Site(found.group(), greeting, process, directory)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Page:
    """What a request came to, after its redirects."""

    status: int
    path: str
    headers: HTTPMessage
    text: str

    def json(self) -> Any:
        """Return the body as data."""
        return json.loads(self.text)


class Browser:
    """A browser without scripts: keeps cookies, follows redirects, sends forms."""

    def __init__(self, site: Site, user_agent: str = "Mozilla/5.0 (X11; Linux)"):
        self.host = urlsplit(site.address).netloc
        self.user_agent = user_agent
        self.cookies: SimpleCookie = SimpleCookie()

    def get(self, path: str, **headers: str) -> Page:
        """Follow a link."""
        return self._request("GET", path, None, headers)

    def submit(self, path: str, *, to: str = "", **fields: str | list[str]) -> Page:
        """Open the page at ``path`` and send its form, there or to another address."""
        token = FORM_TOKEN.search(self.get(path).text)
        assert token is not None, f"no form at {path}"
        body = urlencode({"csrfmiddlewaretoken": token[1], **fields}, doseq=True)
        return self._request("POST", to or path, body, {})

    def sign_in(self, username: str, password: str) -> Page:
        """Fill in the sign-in form."""
        return self.submit("/login/", username=username, password=password)

    def _request(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> Page:
        for _ in range(5):
            connection = HTTPConnection(self.host, timeout=PATIENCE)
            sent = {"User-Agent": self.user_agent, **headers}
            if self.cookies and "Cookie" not in sent:
                sent["Cookie"] = "; ".join(
                    f"{name}={kept.coded_value}" for name, kept in self.cookies.items()
                )
            if body is not None:
                sent["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            text = response.read().decode()
            connection.close()
            for header in response.headers.get_all("Set-Cookie", []):
                self._keep(header)
            if response.status not in {301, 302, 303}:
                return Page(response.status, path, response.headers, text)
            target = urlsplit(urljoin(path, response.headers["Location"]))
            path = target._replace(scheme="", netloc="").geturl()
            method, body = "GET", None
        raise RuntimeError(f"too many redirects, the last to {path}")

    def _keep(self, header: str) -> None:
        for name, cookie in SimpleCookie(header).items():
            if cookie["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = cookie.value
