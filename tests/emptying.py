"""Empty the database after a test that commits, of what a test can have written."""

from __future__ import annotations

from itertools import compress

from django.db import connection, transaction
from django.test import TransactionTestCase

# Written by "migrate", and by no test that commits. Django empties them as well and
# has migrate's signal fill them anew, each time.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def filled_tables(cursor):
    """Return the tables that hold a row, in one question."""
    # Asked each time: some tests bring tables of their own, and take them away.
    names = connection.introspection.table_names(cursor)
    asked = ", ".join(
        f"EXISTS(SELECT 1 FROM {connection.ops.quote_name(name)})"  # noqa: S608
        for name in names
    )
    cursor.execute(f"SELECT {asked}")
    return list(compress(names, cursor.fetchone()))


def empty_tables():
    """Delete every row that a test can have committed."""
    with (
        connection.constraint_checks_disabled(),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        for name in sorted(set(filled_tables(cursor)) - KEPT):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(name)}")  # noqa: S608


def take_over():
    """From now on Django's own tests, and pytest's, empty the database like this."""
    TransactionTestCase._fixture_teardown = lambda case: empty_tables()
