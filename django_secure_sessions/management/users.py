"""The users that a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError


def ids_of(names: Sequence[str]) -> list[Any]:
    """
    Return the primary keys of the users with these names.

    Raise ``CommandError`` for a name that nobody has: a misspelt one is not an empty
    answer.
    """
    model = get_user_model()
    found = []
    for name in dict.fromkeys(names):
        user = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
        if user is None:
            raise CommandError(f"There is no user {name!r}.")
        found.append(user.pk)
    return found
