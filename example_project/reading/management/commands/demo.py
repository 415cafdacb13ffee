"""Make the demo's data and serve the site."""

from __future__ import annotations

import os
import signal
import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import (
    Command as RunServer,
)
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from reading.accounts import ACCOUNTS, DEMO_PASSWORD
from reading.seeding import seed

HOST = "127.0.0.1"


def is_free(port: str) -> bool:
    """Whether nobody serves there yet. A port that is no number is left to Django."""
    if not port.isdecimal():
        return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(port)))
        except (OSError, OverflowError):
            return False
    return True


class Server(RunServer):
    """Django's development server, which says where to look instead of a version."""

    def on_bind(self, server_port: int) -> None:
        """Greet, now that the port is known to be ours."""
        # By name: a security key can't be bound to an IP address.
        address = f"http://localhost:{server_port}"
        self.stdout.write(
            f"\nTidemark is open\n\n"
            f"  Site     {address}/\n"
            f"  Profile  {address}/profile/\n"
            f"  Admin    {address}/admin/\n\n"
            "Ctrl-C stops it."
        )


class Command(BaseCommand):
    """Migrate, seed, print the logins, serve."""

    help = "Makes the demo's people and sessions, then serves it on localhost:$PORT."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--no-serve", action="store_true", help="Only migrate and seed."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "The demo publishes its passwords, so it runs with DEBUG on only."
            )
        call_command("migrate", verbosity=0)
        self.stdout.write(str(seed()))
        self.stdout.write(f"\n  {'Name':<10}{'Password':<20}Who")
        for account in ACCOUNTS:
            self.stdout.write(
                f"  {account.username:<10}{DEMO_PASSWORD:<20}{account.role}"
            )
        if not options["no_serve"]:
            self.serve(os.environ.get("PORT", "8000"))

    def serve(self, port: str) -> None:
        """Serve on this machine only, until Ctrl-C or the usual request to stop."""
        # A shell starts background jobs with SIGINT ignored, and a service manager
        # stops with SIGTERM: both are to end like Ctrl-C, with exit status 0.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        if not is_free(port):
            raise CommandError(
                f"Port {port} is taken. Choose another: PORT=8001 make demo"
            )
        call_command(Server(), f"{HOST}:{port}", use_reloader=False, skip_checks=True)
