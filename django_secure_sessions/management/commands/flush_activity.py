from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_secure_sessions.backends.activity import flush


class Command(BaseCommand):
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
        count = flush(
            batch_size=options["batch_size"], max_seconds=options["max_seconds"]
        )
        if options["verbosity"]:
            self.stdout.write(f"Brought {count} sessions up to date.")
