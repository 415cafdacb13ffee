"""Commands that say what to do where their tables are not there yet."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections, router
from django.db.migrations.executor import MigrationExecutor

APP = "django_secure_sessions"


class MigratedCommand(BaseCommand):
    """
    A command on the tables of this app.

    An error of the database is itself, unless a migration was forgotten: then that
    is the error, in one line.
    """

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            if not _is_unmigrated():
                raise
            raise CommandError(
                "The tables of django_secure_sessions are missing or out of date. "
                "Run: python manage.py migrate"
            ) from error


def _is_unmigrated() -> bool:
    models = apps.get_app_config(APP).get_models()
    return any(map(_has_plan, {router.db_for_write(model) for model in models}))


def _has_plan(using: str) -> bool:
    try:
        executor = MigrationExecutor(connections[using])
        ours = [key for key in executor.loader.graph.leaf_nodes() if key[0] == APP]
        return bool(executor.migration_plan(ours))
    except DatabaseError:
        return False  # it doesn't answer this either, so the first error stands
