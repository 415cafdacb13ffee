"""Show who is signed in, from where and since when."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import F
from django.utils import timezone

from django_secure_sessions import policy
from django_secure_sessions.backends import rows
from django_secure_sessions.backends.base import TrackedSession
from django_secure_sessions.backends.ending import CHUNK, refreshed
from django_secure_sessions.backends.rows import Row
from django_secure_sessions.devices import device_label
from django_secure_sessions.management.migrated import MigratedCommand
from django_secure_sessions.management.users import ids_of
from django_secure_sessions.models import Session

LIMIT = 50
HEADINGS = {
    "id": "Session",
    "user": "User",
    "ip_address": "Address",
    "device": "Device",
    "created_at": "Created",
    "last_activity": "Last active",
    "aal": "AAL",
}
LIVE = {"expires_at": "Expires"}
ENDED = {"ended_at": "Ended", "reason": "Reason"}


class Command(MigratedCommand):
    help = "List the sessions of signed-in users, the most recently active first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--user", action="append", metavar="USERNAME", help="only of this user"
        )
        parser.add_argument(
            "--ended", action="store_true", help="those that ended, the latest first"
        )
        parser.add_argument(
            "--limit",
            type=int,
            default=LIMIT,
            help=f"how many at most (default: {LIMIT}; 0 = all)",
        )
        parser.add_argument(
            "--json", action="store_true", help="one JSON list, for programs"
        )

    def handle(self, **options: Any) -> None:
        if options["limit"] < 0:
            raise CommandError("--limit must be 0 or more.")
        sessions = self._sessions(options["user"], options["ended"])
        found = list(islice(sessions, options["limit"] or None))
        if not options["ended"]:
            # The table may be behind: its order is that of what it knows.
            found.sort(key=itemgetter("last_activity"), reverse=True)
        if options["json"]:
            self.stdout.write(json.dumps(found, cls=DjangoJSONEncoder, indent=2))
            return
        columns = {**HEADINGS, **(ENDED if options["ended"] else LIVE)}
        table = [list(columns.values())]
        table += [[_cell(session[name]) for name in columns] for session in found]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            cells = (
                cell.ljust(width) for cell, width in zip(line, widths, strict=True)
            )
            self.stdout.write("  ".join(cells).rstrip())

    def _sessions(
        self, names: Sequence[str] | None, ended: bool
    ) -> Iterator[dict[str, Any]]:
        now = timezone.now()
        username = f"user__{get_user_model().USERNAME_FIELD}"
        sessions = Session.objects.using(rows.alias()).exclude(user=None)
        if names is not None:
            sessions = sessions.filter(user__in=ids_of(names))
        if ended:
            sessions = sessions.ended().order_by("-ended_at")
        else:
            sessions = sessions.live(now).order_by("-last_activity")
        listed = sessions.values(*rows.FACTS, username=F(username)).iterator()
        for row, name in _caught_up(listed):
            verdict = policy.evaluate(row, TrackedSession.rules_of(row), now)
            if ended or verdict.live:
                yield {
                    "id": row.id,
                    "user": name,
                    "ip_address": row.ip_address,
                    "device": device_label(row.user_agent),
                    "created_at": row.created_at,
                    "last_activity": row.last_activity,
                    "expires_at": None if ended else verdict.deadline,
                    "aal": row.aal,
                    "impersonator": row.impersonator,
                    "ended_at": row.ended_at,
                    "reason": row.end_reason,
                }


def _caught_up(
    listed: Iterator[dict[str, Any]],
) -> Iterator[tuple[Row, str]]:
    """Yield rows as the engine knows them, and their users' names."""
    while batch := list(islice(listed, CHUNK)):
        names = [facts.pop("username") for facts in batch]
        found = refreshed([Row.of_facts(facts) for facts in batch])
        yield from zip(found, names, strict=True)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        local = timezone.localtime(value) if timezone.is_aware(value) else value
        return f"{local:%Y-%m-%d %H:%M:%S %Z}".rstrip()
    text = str(value if value is not None else "-")
    # Names and devices come from people: no control characters to a terminal.
    return text if text.isprintable() else ascii(text)
