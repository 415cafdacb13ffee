"""The clean-up for a timer: ``clearsessions`` with a report and limits."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from django_secure_sessions.backends.retention import BATCH_SIZE, Report, purge
from django_secure_sessions.exceptions import ClockMistrusted
from django_secure_sessions.management.migrated import MigratedCommand

# Rows. Keys of a batch are parameters of one statement: SQLite takes 32,766.
LARGEST_BATCH = 20_000
WIDTH = 30  # characters of the progress bar


class Command(MigratedCommand):
    help = (
        "End sessions whose time is over and delete what is past its retention, in "
        "batches that never block the site. Safe to stop and to run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--batch-size",
            type=int,
            default=BATCH_SIZE,
            metavar="ROWS",
            help=f"rows per transaction (default: {BATCH_SIZE})",
        )
        parser.add_argument(
            "--max-seconds",
            type=float,
            metavar="SECONDS",
            help="stop after this time; the next run carries on",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only count what is due"
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help="run although the clock differs from the database's",
        )

    def handle(self, **options: Any) -> None:
        if not 1 <= options["batch_size"] <= LARGEST_BATCH:
            raise CommandError(f"--batch-size must be between 1 and {LARGEST_BATCH}.")
        max_seconds = options["max_seconds"]
        if max_seconds is not None and not max_seconds >= 0:
            raise CommandError("--max-seconds must be 0 or more.")
        now, force = timezone.now(), options["force"]
        began = time.monotonic()
        shows_progress = self.stdout.isatty() and options["verbosity"] > 0
        try:
            due = Report()
            if options["dry_run"] or shows_progress:
                due = purge(now, dry_run=True, force=force)
            if options["dry_run"]:
                self._summarize(due, "Would end")
                return
            if shows_progress and not due.total:
                self.stdout.write("Nothing to do.")
                return
            report = purge(
                now,
                batch_size=options["batch_size"],
                max_seconds=max_seconds,
                force=force,
                progress=(lambda done: self._draw(done.total, due.total))
                if shows_progress
                else None,
            )
        except ClockMistrusted as error:
            raise CommandError(
                f"{error} Set the clock right, or use --force if it is right."
            ) from error
        if shows_progress:
            self.stdout.write("\r\033[K", ending="")
        if options["verbosity"] > 0:
            seconds = f" in {time.monotonic() - began:.1f} s"
            more = "" if report.complete else " Time is up; more is due."
            self._summarize(report, "Ended", f"{seconds}.{more}")

    def _summarize(self, report: Report, verb: str, tail: str = ".") -> None:
        then = "delete" if verb.startswith("Would") else "deleted"
        self.stdout.write(
            f"{verb} {report.ended} expired sessions; {then} {report.anonymous} "
            f"anonymous and {report.history} ended ones, {report.events} events, "
            f"{report.devices} trusted devices{tail}"
        )

    def _draw(self, done: int, total: int) -> None:
        # What became due since the count may push the share above one.
        share = min(done / total, 1) if total else 1
        bar = "#" * int(share * WIDTH)
        self.stdout.write(f"\r[{bar:<{WIDTH}}] {done} of {total}", ending="")
        self.stdout.flush()
