"""Seal second factors under the present ``SECRET_KEY``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from django_secure_sessions.management.migrated import MigratedCommand
from django_secure_sessions.mfa.rotation import reseal_all


class Command(MigratedCommand):
    help = (
        "Seal the secrets of all second factors under SECRET_KEY. Run it after the "
        "key was replaced, before the old one leaves SECRET_KEY_FALLBACKS."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        result = reseal_all()
        self.stdout.write(
            f"Sealed anew: {result.done}. Right already: {result.current}."
        )
        if result.unreadable:
            raise CommandError(
                f"{result.unreadable} secrets open under no key of this site. Their "
                f"owners can't sign in until SECRET_KEY_FALLBACKS has the old key, or "
                f"an administrator resets them."
            )
