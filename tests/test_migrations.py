"""The migrations make the tables that the models describe."""

from __future__ import annotations

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_none_is_missing():
    """Changing a model without a migration fails here, not on a site."""
    call_command(
        "makemigrations",
        "django_secure_sessions",
        check_changes=True,
        dry_run=True,
        verbosity=0,
    )


@pytest.mark.django_db
def test_all_are_applied(capsys):
    """The tests run on tables made by the migrations."""
    call_command("migrate", check_unapplied=True, verbosity=0)
