from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_secure_sessions.backends.activity import flush
from django_secure_sessions.management.migrated import MigratedCommand


class Command(MigratedCommand):
    help = (
        "Write activity that only the cache knows to the database. For sites with "
        'TOUCH_STORE = "cache": run it a few times in each idle timeout.'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch-size", type=int, default=500)
        parser.add_argument(
            "--max-seconds",
            type=float,
            help="Stop after the batch that passes so many seconds.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        batch_size, max_seconds = options["batch_size"], options["max_seconds"]
        if batch_size < 1:
            raise CommandError("--batch-size must be 1 or more.")
        if max_seconds is not None and not max_seconds >= 0:
            raise CommandError("--max-seconds must be 0 or more.")
        count = flush(batch_size=batch_size, max_seconds=max_seconds)
        if options["verbosity"]:
            self.stdout.write(f"Brought {count} sessions up to date.")
