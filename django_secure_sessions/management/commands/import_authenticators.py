"""Take over authenticator apps from django-otp or django-allauth."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone
from django.utils.module_loading import import_string

from django_secure_sessions.management.migrated import MigratedCommand
from django_secure_sessions.mfa import imports

SOURCES = ("django-otp", "django-allauth")


class Command(MigratedCommand):
    help = "Take over authenticator apps that users set up with another package."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", choices=SOURCES)
        parser.add_argument(
            "--decrypt",
            help="dotted path of a function(str) -> str, for an allauth adapter "
            "that encrypts secrets",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["source"] == "django-otp":
            found = imports.from_django_otp()
        else:
            path = options["decrypt"]
            found = imports.from_django_allauth(import_string(path) if path else str)
        try:
            result = imports.take_over(found, timezone.now())
        except DatabaseError as error:
            raise CommandError(
                f"The table of {options['source']} can't be read: {error}"
            ) from error
        for problem in result.problems:
            self.stderr.write(f"Left out: {problem}.")
        self.stdout.write(
            f"Taken over: {result.done}. Here already: {result.known}. "
            f"Left out: {len(result.problems)}."
        )
