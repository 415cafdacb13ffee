"""
The SQL of the request path, compiled once and reused.

No model instances, no query building, no savepoints: a statement is a string made
once per database alias, and its values go through the fields' own adapters. Every
UPDATE demands a live row, so nothing here can bring an ended session back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connections, router
from django.utils.dateparse import parse_datetime

from django_secure_sessions.models import Session

# What an ended session loses: its payload and the ways back in.
WIPED: Mapping[str, Any] = MappingProxyType(
    {"data": b"", "previous_digest": None, "previous_seal": None}
)

_CONNECTOR = {"": "=", "lt": "<", "lte": "<="}


class Row(NamedTuple):
    """One session as the table holds it. The names are the model's columns."""

    id: UUID
    user_id: Any
    data: bytes
    version: int
    created_at: datetime
    authenticated_at: datetime | None
    last_activity: datetime
    expires_at: datetime
    aal: int
    amr: str
    ip_address: str | None
    user_agent: str
    impersonator: str
    ended_at: datetime | None
    end_reason: str
    idle_seconds: int | None
    absolute_seconds: int | None
    key_digest: UUID
    # The way back from the key before. Whoever comes with the key itself needs none,
    # so these stay out of a read by it, and out of copies.
    previous_digest: UUID | None = None
    previous_seal: bytes | None = None
    rotated_at: datetime | None = None

    @classmethod
    def of_facts(cls, facts: dict[str, Any]) -> Row:
        """Build a row from the columns ``FACTS``, without what is sealed."""
        return cls(**facts, **_SEALED)


# Sealed columns are long, and only a session's own key opens them.
_SEALED: dict[str, Any] = {"data": b"", "previous_seal": None}
# Each column costs its part of the statement, so the most frequent one has few.
_OF_A_KEY = Row._fields[: Row._fields.index("key_digest")]
_NO_WAY_BACK = (None, None, None)
FACTS = tuple(name for name in Row._fields if name not in _SEALED)


def alias() -> str:
    """The database that sessions are read from and written to: never a replica."""
    return router.db_for_write(Session)


def fetch(using: str, column: str, value: UUID) -> Row | None:
    """
    Return the row whose unique ``column`` is ``value``, live or ended.

    By ``key_digest``, without the columns that lead from the key before to it.
    """
    by_key = column == "key_digest"
    sql, converters = _select(using, column, _OF_A_KEY if by_key else Row._fields)
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(sql, [_adapt(connection, column, value)])
        found = cursor.fetchone()
    if found is None:
        return None
    values = _convert(found, converters, connection)
    return Row._make([*values, value, *_NO_WAY_BACK] if by_key else values)


def fetch_live_of(using: str, user_id: Any) -> list[Row]:
    """Return all rows of a user that have not ended, expired ones included."""
    only = "AND {ended_at} IS NULL"
    sql, converters = _select(using, "user_id", Row._fields, only)
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(sql, [_adapt(connection, "user_id", user_id)])
        found = cursor.fetchall()
    return [Row._make(_convert(row, converters, connection)) for row in found]


def insert(using: str, row: Row) -> None:
    """Insert a new row. Raise ``IntegrityError`` when its key is taken."""
    connection = connections[using]
    values = row._asdict()
    params = [_adapt(connection, name, value) for name, value in values.items()]
    with connection.cursor() as cursor:
        cursor.execute(_insert(using, _absent(values)), params)


def update(using: str, values: dict[str, Any], **where: Any) -> bool:
    """
    Change one live row and return whether it was there to be changed.

    ``where`` takes column names, with ``__lt`` or ``__lte`` for a comparison.
    """
    connection = connections[using]
    params = [_adapt(connection, name, value) for name, value in values.items()]
    params += [
        _adapt(connection, name.partition("__")[0], value)
        for name, value in where.items()
    ]
    with connection.cursor() as cursor:
        sql = _update(using, tuple(values), _absent(values), tuple(where))
        cursor.execute(sql, params)
        return bool(cursor.rowcount)


def end(using: str, ids: Sequence[UUID], reason: str, now: datetime) -> int:
    """
    End live rows and return how many ended by this call.

    The payload and the ways back in are wiped at once; the row stays as history.
    """
    connection = connections[using]
    ended = {
        "ended_at": now,
        "end_reason": reason,
        **WIPED,
    }
    params = [_adapt(connection, name, value) for name, value in ended.items()]
    params += [_adapt(connection, "id", value) for value in ids]
    with connection.cursor() as cursor:
        cursor.execute(_end(using, tuple(ended), _absent(ended), len(ids)), params)
        return int(cursor.rowcount)


def delete_anonymous(using: str, row_id: UUID) -> bool:
    """Delete a session that never had a user: it leaves no history."""
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(_delete_anonymous(using), [_adapt(connection, "id", row_id)])
        return bool(cursor.rowcount)


Converter = tuple[int, Any, Sequence[Callable[..., Any]]]


@lru_cache(maxsize=64)
def _select(
    using: str, column: str, names: tuple[str, ...], extra: str = ""
) -> tuple[str, tuple[Converter, ...]]:
    connection = connections[using]
    columns = ", ".join(_readable(using, name) for name in names)
    extra = extra.format(ended_at=_column(using, "ended_at"))
    sql = (
        f"SELECT {columns} FROM {_table(using)} "  # noqa: S608 - names, not input
        f"WHERE {_column(using, column)} = %s {extra}"
    )
    converters = []
    for index, name in enumerate(names):
        expression = _field(name).get_col(Session._meta.db_table)
        found = [
            *connection.ops.get_db_converters(expression),
            *expression.get_db_converters(connection),
        ]
        if _is_read_as_text(using, name):
            found.append(_moment)
        if found:
            converters.append((index, expression, found))
    return sql, tuple(converters)


@lru_cache(maxsize=8)
def _insert(using: str, absent: frozenset[str]) -> str:
    names = ", ".join(_column(using, name) for name in Row._fields)
    marks = ", ".join(_mark(using, name, absent) for name in Row._fields)
    return f"INSERT INTO {_table(using)} ({names}) VALUES ({marks})"  # noqa: S608


@lru_cache(maxsize=256)
def _update(
    using: str, columns: tuple[str, ...], absent: frozenset[str], where: tuple[str, ...]
) -> str:
    conditions = [f"{_column(using, 'ended_at')} IS NULL"]
    for condition in where:
        name, _, lookup = condition.partition("__")
        conditions.append(f"{_column(using, name)} {_CONNECTOR[lookup]} %s")
    return (
        f"UPDATE {_table(using)} SET {_assignments(using, columns, absent)} "  # noqa: S608
        f"WHERE {' AND '.join(conditions[1:] + conditions[:1])}"
    )


@lru_cache(maxsize=64)
def _end(
    using: str, columns: tuple[str, ...], absent: frozenset[str], count: int
) -> str:
    marks = ", ".join(["%s"] * count)
    return (
        f"UPDATE {_table(using)} SET {_assignments(using, columns, absent)} "  # noqa: S608
        f"WHERE {_column(using, 'id')} IN ({marks}) "
        f"AND {_column(using, 'ended_at')} IS NULL"
    )


@lru_cache(maxsize=8)
def _delete_anonymous(using: str) -> str:
    return (
        f"DELETE FROM {_table(using)} WHERE {_column(using, 'id')} = %s "  # noqa: S608
        f"AND {_column(using, 'user_id')} IS NULL"
    )


def _assignments(using: str, columns: Sequence[str], absent: frozenset[str]) -> str:
    return ", ".join(
        f"{_column(using, name)} = {_mark(using, name, absent)}" for name in columns
    )


def _absent(values: Mapping[str, Any]) -> frozenset[str]:
    """Which sealed columns get NULL, since that can't be marked as bytes."""
    return frozenset(name for name in _SEALED if values.get(name, b"") is None)


def _table(using: str) -> str:
    return connections[using].ops.quote_name(Session._meta.db_table)


def _column(using: str, name: str) -> str:
    return connections[using].ops.quote_name(_field(name).column)


def _readable(using: str, name: str) -> str:
    column = _column(using, name)
    return f"{column}::text" if _is_read_as_text(using, name) else column


def _is_read_as_text(using: str, name: str) -> bool:
    # Django has psycopg parse each time in Python: a fifth of the whole statement.
    is_time = _field(name).get_internal_type() == "DateTimeField"
    return is_time and settings.USE_TZ and connections[using].vendor == "postgresql"


def _moment(value: str | None, expression: Any, connection: Any) -> datetime | None:
    return None if value is None else parse_datetime(value)


def _mark(using: str, name: str, absent: frozenset[str]) -> str:
    # MariaDB and MySQL would read bytes as text in the connection's encoding.
    is_binary = name in _SEALED and name not in absent
    return "_binary %s" if is_binary and connections[using].vendor == "mysql" else "%s"


@lru_cache(maxsize=64)
def _field(name: str) -> Any:
    return {field.attname: field for field in Session._meta.concrete_fields}[name]


def _adapt(connection: Any, name: str, value: Any) -> Any:
    return _field(name).get_db_prep_save(value, connection)


def _convert(
    found: Any, converters: Sequence[Converter], connection: Any
) -> Sequence[Any]:
    values = list(found)
    for index, expression, functions in converters:
        for function in functions:
            values[index] = function(values[index], expression, connection)
    return values
