"""A table of sessions of any size, copied from real logins in minutes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.db import connection, transaction

from benchmarks.requests import Booth, make_users
from django_secure_sessions.models import Session

SESSIONS = Session._meta.db_table
_SEEDS = f"{SESSIONS}_seeds"
# Sessions copied: each has a payload of its own, of the length that logins give.
SEEDS = 500
# The users who own the copies, from this number on.
FIRST_USER = 1_000_000
SESSIONS_EACH = 3

# How a copy differs from its seed. Its id follows from its number, so that a touch
# can name it, and says nothing of where it lies.
ID = "md5('id' || {})::uuid"
_LIVE = {
    "id": ID.format("n"),
    "key_digest": "md5('key' || n)::uuid",
    "user_id": f"{FIRST_USER} + n / {SESSIONS_EACH}",
    "ip_address": "concat_ws('.', 10, n % 199, n % 241, n % 251)",
    "created_at": "created_at - random() * interval '10 hours'",
    "last_activity": "last_activity - random() * interval '1 minute'",
    # One in a hundred is left for the clean-up to find.
    "expires_at": "expires_at - random() * interval '1 minute' "
    "- CASE WHEN n % 100 = 0 THEN interval '1 day' ELSE '0' END",
}
_ENDED = {
    **_LIVE,
    "data": "''::bytea",
    "ended_at": "now() - random() * interval '30 days'",
    "end_reason": "'idle'",
}


class Bytes(NamedTuple):
    """Of a whole table: heap with what it moved out of line, and all indexes."""

    heap: int
    indexes: int


def sow(booth: Booth, rows: int) -> None:
    """Sign real users in, whose rows are copied, and make users for the copies."""
    booth.cookies = booth.sign_in(make_users(SEEDS, "seed"))
    users, count = get_user_model()._meta.db_table, rows // SESSIONS_EACH
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {_SEEDS} AS "
            f"SELECT *, row_number() OVER () - 1 AS seed FROM {SESSIONS}"
        )
        cursor.execute(
            f"INSERT INTO {users} (id, username, password, first_name, last_name, "
            "email, is_superuser, is_staff, is_active, date_joined) "
            f"SELECT {FIRST_USER} + n, 'user' || n, '!', '', '', '', "
            f"false, false, true, now() FROM generate_series(0, {count}) n"
        )
        cursor.execute(f"VACUUM ANALYZE {users}")


def fill(
    rows: int,
    say: Callable[[str], None],
    *,
    fillfactor: int = 100,
    grown: bool = False,
    ended: bool = False,
) -> Bytes:
    """
    Fill the table anew, vacuum it, and return its size.

    Indexes are made at the end, as dense as ``REINDEX`` leaves them; with ``grown``
    they take in row by row, as a site's do. ``ended`` rows are history.
    """
    state = "ended" if ended else "live"
    say(f"{rows:,} {state} rows at fillfactor {fillfactor}")
    changes = _ENDED if ended else _LIVE
    columns = [field.column for field in Session._meta.concrete_fields]
    values = [changes.get(column, column) for column in columns]
    # One transaction: with wal_level "minimal", what fills a new table isn't logged.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {SESSIONS}")
        # The study calls vacuum itself, when it says.
        cursor.execute(
            f"ALTER TABLE {SESSIONS} "
            f"SET (fillfactor = {fillfactor}, autovacuum_enabled = off)"
        )
        later = [] if grown else _drop_indexes(cursor)
        cursor.execute(
            f"INSERT INTO {SESSIONS} ({', '.join(columns)}) "
            f"SELECT {', '.join(values)} FROM generate_series(1, {rows}) n "
            f"JOIN {_SEEDS} ON seed = n % {SEEDS}"
        )
        for statement in later:
            cursor.execute(statement)
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {SESSIONS}")
    return weigh()


def weigh() -> Bytes:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_table_size(%s), pg_indexes_size(%s)", [SESSIONS, SESSIONS]
        )
        return Bytes(*cursor.fetchone())


def weigh_indexes() -> dict[str, int]:
    """Return the bytes of each index by its name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) "
            "FROM pg_index WHERE indrelid = %s::regclass ORDER BY 1",
            [SESSIONS],
        )
        return dict(cursor.fetchall())


def _drop_indexes(cursor) -> list[str]:
    """Drop all indexes, and return the statements that make them again."""
    cursor.execute(
        "SELECT index.indexrelid::regclass::text, conname, "
        "pg_get_indexdef(index.indexrelid) FROM pg_index index "
        "LEFT JOIN pg_constraint ON conindid = index.indexrelid "
        "WHERE index.indrelid = %s::regclass",
        [SESSIONS],
    )
    found = cursor.fetchall()
    for name, constraint, _ in found:
        if constraint:
            cursor.execute(f'ALTER TABLE {SESSIONS} DROP CONSTRAINT "{constraint}"')
        else:
            cursor.execute(f"DROP INDEX {name}")
    return [definition for *_, definition in found]
