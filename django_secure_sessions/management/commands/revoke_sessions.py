"""Sign people out from the command line."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.db.models.functions import Coalesce
from django.utils import timezone

from django_secure_sessions import lifecycle
from django_secure_sessions.backends import rows
from django_secure_sessions.client import Network, is_within
from django_secure_sessions.conf import conf
from django_secure_sessions.management.migrated import MigratedCommand
from django_secure_sessions.management.users import ids_of
from django_secure_sessions.models import Session, SessionQuerySet

ACTOR = "command"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Addresses per statement, below every database's limit on parameters.
ADDRESSES = 500


def duration(text: str) -> timedelta:
    """Return "90s", "30m", "12h", "7d", "2w" or a sum like "1d12h" as a duration."""
    if not re.fullmatch(r"(\d{1,6}[smhdw])+", text):
        raise ArgumentTypeError(f"not a duration such as 30m, 12h or 7d: {text}")
    found = re.findall(r"(\d+)([smhdw])", text)
    return sum(
        (timedelta(**{UNITS[unit]: int(number)}) for number, unit in found),
        timedelta(),
    )


def network(text: str) -> Network:
    """Return an address, as a network of one, or a network."""
    try:
        found = ip_network(text, strict=False)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    return found


class Command(MigratedCommand):
    help = (
        "End live sessions at once. Several filters must all match; a filter given "
        "twice matches either value."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--user", action="append", metavar="USERNAME", help="sessions of this user"
        )
        parser.add_argument(
            "--ip",
            action="append",
            type=network,
            metavar="ADDRESS_OR_NETWORK",
            help="sessions last seen from here",
        )
        parser.add_argument(
            "--older-than",
            type=duration,
            metavar="DURATION",
            help="sessions signed in longer ago than this: 30m, 12h, 7d",
        )
        parser.add_argument(
            "--session",
            action="append",
            type=UUID,
            metavar="UUID",
            help="the session with this public id",
        )
        parser.add_argument(
            "--all", action="store_true", help="every session, anonymous ones included"
        )
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument(
            "--no-input",
            "--noinput",
            action="store_false",
            dest="interactive",
            help="don't ask before --all",
        )

    def handle(self, **options: Any) -> None:
        names = ("user", "ip", "older_than", "session")
        chosen = any(options[name] is not None for name in names)
        if chosen is options["all"]:
            raise CommandError(
                "Use either --all or any of --user, --ip, --older-than, --session."
            )
        matching = self._matching(options)
        if options["dry_run"]:
            count = sum(sessions.count() for sessions in matching)
            self.stdout.write(f"Sessions that would end: {count}")
            return
        if options["all"] and options["interactive"]:
            self._confirm()
        count = sum(
            lifecycle.end_matching(sessions, actor=ACTOR) for sessions in matching
        )
        self.stdout.write(self.style.SUCCESS(f"Sessions ended: {count}"))

    def _confirm(self) -> None:
        live = Session.objects.using(rows.alias()).live(timezone.now()).count()
        try:
            answer = input(
                f"This signs everybody out, you included. Live sessions: {live}\n"
                "Type 'yes' to continue: "
            )
        except EOFError as error:
            raise CommandError(
                "There is nobody to ask. Nothing was ended; use --no-input if you "
                "mean it."
            ) from error
        if answer.strip().lower() != "yes":
            raise CommandError("Nothing was ended.")

    def _matching(self, options: dict[str, Any]) -> Iterator[SessionQuerySet]:
        """Yield disjoint querysets that are together what the filters match."""
        now = timezone.now()
        sessions = Session.objects.using(rows.alias()).live(now)
        if options["user"] is not None:
            sessions = sessions.filter(user__in=ids_of(options["user"]))
        if options["session"] is not None:
            sessions = sessions.filter(pk__in=options["session"])
        if options["older_than"] is not None:
            sessions = sessions.annotate(
                begun=Coalesce("authenticated_at", "created_at")
            ).filter(begun__lte=now - options["older_than"])
        if options["ip"] is None:
            return iter([sessions])
        return self._from(sessions, options["ip"])

    def _from(
        self, sessions: SessionQuerySet, networks: list[Network]
    ) -> Iterator[SessionQuerySet]:
        # A column of text can't be asked for a network: the addresses that occur
        # are compared here.
        if conf.ip_privacy == "off":
            raise CommandError("IP_PRIVACY is 'off': no session knows its address.")
        if conf.ip_privacy == "truncated":
            self.stderr.write("Addresses are truncated: whole /24 or /48 match.")
        occurring = sessions.order_by().values_list("ip_address", flat=True).distinct()
        try:
            matching = [
                ip
                for ip in occurring
                if any(is_within(ip, network) for network in networks)
            ]
        except ValueError as error:
            raise CommandError(
                "IP_PRIVACY is 'hashed': only single addresses and whole /24 (IPv4) "
                "or /48 (IPv6) networks can be found."
            ) from error
        return (
            sessions.filter(ip_address__in=matching[start : start + ADDRESSES])
            for start in range(0, len(matching), ADDRESSES)
        )
