"""Transactions that lost against another one, and try again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connections

T = TypeVar("T")

# Other transactions of the site may deadlock with ours; the loser tries again.
TRIES = 5
# PostgreSQL: serialization_failure, deadlock_detected. MariaDB and MySQL:
# lock wait timeout, deadlock.
CONFLICTS = ("40001", "40P01", 1205, 1213)


def retried(attempt: Callable[[], T], using: str) -> T:
    """
    Return what ``attempt``, a whole transaction on ``using``, returns.

    Raise its ``OperationalError`` when it is no conflict, when it is the last of
    ``TRIES``, and inside a transaction of the caller, where nothing is left to retry.
    """
    for remaining in reversed(range(TRIES)):
        try:
            return attempt()
        except OperationalError as error:
            inside = connections[using].in_atomic_block
            if inside or not remaining or not _is_conflict(error):
                raise
    raise AssertionError("unreachable")


def _is_conflict(error: OperationalError) -> bool:
    cause = error.__cause__
    code = getattr(cause, "sqlstate", None) or (error.args or (None,))[0]
    return code in CONFLICTS
