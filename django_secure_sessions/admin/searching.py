"""What a word in a search box may mean, at any number of rows."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, models
from django.db.models import Q

# Users whose rows are looked up one by one. Where a word matches more of them, the
# rows they have are so many that the list is full before many were read.
FEW = 200
# The beginning of an address, or of one that the privacy mode hashed. Other words
# are spared the look at every row, which addresses need: they have no index.
ADDRESS_LIKE = re.compile(r"(h:)?[0-9a-fA-F]*[.:][0-9a-fA-F.:]*|\d{1,4}")
# The beginning of a public id. A shorter one would name many.
ID_LIKE = re.compile(r"[0-9a-f]{4,32}")
DIGITS = 32


def of_users_named(term: str) -> Q:
    """
    Return the rows of users whose name or e-mail address contains each word.

    The users are looked up first: joined, or in a subquery beside other conditions,
    they would have the database read every row.
    """
    model = get_user_model()
    found = model._default_manager.filter(_named(model, term)).order_by()
    ids = list(found.values_list("pk", flat=True)[: FEW + 1])
    return Q(user__in=ids if len(ids) <= FEW else found.values("pk"))


def _named(model: Any, term: str) -> Q:
    names = [model.USERNAME_FIELD, model.get_email_field_name()]
    fields = dict.fromkeys(
        name for name in (*names, "first_name", "last_name") if _is_text(model, name)
    )
    matching = Q()
    for word in term.split():
        matching &= Q(
            *((f"{name}__icontains", word) for name in fields), _connector=Q.OR
        )
    return matching


def _is_text(model: Any, name: str) -> bool:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return isinstance(field, (models.CharField, models.TextField))


def from_address(term: str) -> Q:
    """Return the rows from addresses that begin with ``term``, if any can."""
    if ADDRESS_LIKE.fullmatch(term) is None:
        return Q(pk__in=[])
    return Q(ip_address__startswith=term)


def with_id(field: str, term: str, using: str) -> Q:
    """Return the rows whose public id, in ``field``, begins with ``term``."""
    digits = term.replace("-", "").lower()
    if ID_LIKE.fullmatch(digits) is None:
        return Q(pk__in=[])
    first, last = (UUID(digits.ljust(DIGITS, filler)) for filler in "0f")
    connection = connections[using]
    if connection.vendor == "mysql" and connection.features.has_native_uuid_field:
        # MariaDB doesn't order ids as they are written, so an index is no help.
        dashed = str(first)[: len(digits) + _dashes(len(digits))]
        return Q((f"{field}__startswith", dashed))
    return Q((f"{field}__range", (first, last)))


def _dashes(digits: int) -> int:
    """How many dashes stand among the first so many digits of an id."""
    return sum(digits > place for place in (8, 12, 16, 20))
