"""The default answers to "which roles has this user?" and "who is it really?"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def default_roles(user: Any) -> tuple[str, ...]:
    """
    Return a user's roles, the most powerful first.

    ``admin`` for a superuser, ``staff`` for ``is_staff``, then the names of the
    user's groups in order, then ``user``. Nobody, and nobody active, has none.
    Costs one query when the groups aren't prefetched. ``SECURE_SESSIONS["ROLES"]``
    names another function of the same kind.
    """
    if not user or not user.is_authenticated or not user.is_active:
        return ()
    roles = []
    if getattr(user, "is_superuser", False):
        roles.append("admin")
    if getattr(user, "is_staff", False):
        roles.append("staff")
    # A user model without PermissionsMixin has no groups.
    if (groups := getattr(user, "groups", None)) is not None:
        roles += sorted(group.name for group in groups.all())
    return tuple(dict.fromkeys([*roles, "user"]))


def impersonator(data: Mapping[str, Any]) -> str | None:
    """
    Return who acts as the session's user, as a primary key in text, or ``None``.

    Knows the session data of django-hijack (``hijack_history``: every actor, the
    first is the person) and django-loginas (``loginas_from_user``: a signed key).
    ``SECURE_SESSIONS["IMPERSONATION"]`` names another function of the same kind.
    """
    history = data.get("hijack_history")
    if isinstance(history, list) and history:
        return str(history[0])
    signed = data.get("loginas_from_user")
    if signed:
        return str(signed).rsplit(":", 2)[0]
    return None
