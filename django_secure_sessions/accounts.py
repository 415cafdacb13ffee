"""What of a user's account sessions depend on: the password, and being active."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth.hashers import get_hasher, identify_hasher
from django.utils.crypto import constant_time_compare


def changing(
    user: Any, using: str, update_fields: Collection[str] | None
) -> frozenset[str]:
    """
    Which of ``password`` and ``is_active`` the save that is about to begin changes.

    However they were set: what counts is whether they differ from what is stored,
    which one query finds out where one of them is written at all. The hash that a
    login renews, since its hasher is outdated, is of the same password.
    """
    columns = {field.attname for field in user._meta.concrete_fields}
    written = [
        name
        for name in ("password", "is_active")
        if name in columns and writes(user, name, update_fields)
    ]
    if not written:
        return frozenset()
    stored = type(user)._base_manager.using(using).filter(pk=user.pk)
    before = stored.values(*written).first() or {}
    changed = {name for name in before if before[name] != getattr(user, name)}
    if _is_renewal(user, update_fields) and _is_outdated(before.get("password", "")):
        changed.discard("password")
    return frozenset(changed)


def writes(user: Any, name: str, update_fields: Collection[str] | None) -> bool:
    """Whether a save writes the field ``name``. Loads nothing that was deferred."""
    if update_fields is not None:
        return name in update_fields
    return hasattr(type(user), name) and name not in user.get_deferred_fields()


def fits(user: Any, session_hash: str) -> bool:
    """Whether a session's hash is over the password that its user has now."""
    if not hasattr(user, "get_session_auth_hash"):
        return True
    hashes = [user.get_session_auth_hash()]
    if hasattr(user, "get_session_auth_fallback_hash"):
        hashes += user.get_session_auth_fallback_hash()
    return any(constant_time_compare(session_hash, known) for known in hashes)


def _is_renewal(user: Any, update_fields: Collection[str] | None) -> bool:
    """Whether this may be ``check_password`` saving the same password anew."""
    marked = vars(user).get("_password", False) is None
    return marked and update_fields is not None and set(update_fields) == {"password"}


def _is_outdated(encoded: str) -> bool:
    try:
        hasher = identify_hasher(encoded)
    except ValueError:
        return False  # unusable, or by a hasher that the site does not have
    preferred = get_hasher()
    return hasher.algorithm != preferred.algorithm or preferred.must_update(encoded)
