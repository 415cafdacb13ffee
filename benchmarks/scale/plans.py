"""How PostgreSQL answers the questions of a site that has many sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone

from benchmarks.requests import Booth, read, request
from django_secure_sessions import lifecycle
from django_secure_sessions.admin.sessions import SessionAdmin
from django_secure_sessions.backends.retention import BATCH_SIZE, Report, purge
from django_secure_sessions.models import Session

from .filling import SESSIONS

_EXPLAINED = ("SELECT", "UPDATE", "DELETE", "INSERT")


class Answer(NamedTuple):
    """One statement: how it was run, and what it looked at."""

    question: str
    verb: str
    way: str
    rows: int
    pages: int
    milliseconds: float


class Explainer:
    """Has each statement on sessions, or on users, explained before it runs."""

    def __init__(self, question: str) -> None:
        self.question = question
        self.answers: list[Answer] = []

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: Any,
    ) -> Any:
        tables = (SESSIONS, get_user_model()._meta.db_table)
        if sql.startswith(_EXPLAINED) and any(f'"{name}"' in sql for name in tables):
            self._explain(sql, params)
        return execute(sql, params, many, context)

    def _explain(self, sql: str, params: Any) -> None:
        raw = connection.connection
        # ANALYZE executes: a change is taken back, and then made.
        with raw.transaction(force_rollback=True), raw.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, params)
            [told] = cursor.fetchone()[0]
        plan = told["Plan"]
        # A change returns no rows itself: what it works through is its only child.
        rows = plan if sql.startswith("SELECT") else plan.get("Plans", [plan])[0]
        self.answers.append(
            Answer(
                self.question,
                sql.partition(" ")[0],
                ", ".join(dict.fromkeys(_scans(plan))) or plan["Node Type"],
                int(rows["Actual Rows"]),
                plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
                told["Execution Time"],
            )
        )


class _Enough(Exception):
    """Raised to leave a clean-up after its first batch that found something."""


def ask(booth: Booth) -> list[Answer]:
    """Ask what a site asks, in the table as it is."""
    questions: dict[str, Callable[[], Any]] = {
        "request with a session": lambda: booth.handlers[read](request(cookie)),
        "a user's live sessions": lambda: lifecycle.live_sessions(user),
        "``end_all``": lambda: lifecycle.end_all(user),
        "clean-up, a batch": _clean_a_batch,
        "admin, first page": lambda: _admin_page(""),
        "admin, search for a user": lambda: _admin_page("user7777"),
        "admin, search for an address": lambda: _admin_page("10.77.1."),
    }
    user = get_user_model().objects.create(username="wanted", password="!")
    cookie = [booth.sign_in([user]) for _ in range(3)][-1][0]
    answers: list[Answer] = []
    for question, do in questions.items():
        explainer = Explainer(question)
        connection.ensure_connection()
        with booth.engine.chosen(), connection.execute_wrapper(explainer):
            do()
        answers += explainer.answers
    return answers


def _clean_a_batch() -> None:
    def stop(report: Report) -> None:
        if report.total:
            raise _Enough

    try:
        purge(timezone.now(), batch_size=BATCH_SIZE, progress=stop)
    except _Enough:
        return
    raise AssertionError("nothing was due")


def _admin_page(search: str) -> None:
    asked = RequestFactory().get("/", {"q": search} if search else {})
    asked.user = get_user_model()(username="admin", is_superuser=True, is_staff=True)
    page = SessionAdmin(Session, admin.AdminSite()).get_changelist_instance(asked)
    list(page.result_list)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def _scans(plan: dict[str, Any]) -> Iterator[str]:
    for node in _nodes(plan):
        kind = node["Node Type"]
        if "Scan" in kind and "Index Name" in node:
            yield f"{kind}: {node['Index Name']}"
        elif kind == "Seq Scan":
            yield f"{kind}: {node['Relation Name']}"
        elif kind in ("Sort", "Incremental Sort"):
            yield kind
