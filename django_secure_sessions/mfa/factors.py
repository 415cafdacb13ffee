"""A user's factors: which there are, which work, and how they go."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from uuid import UUID

from django.db import models, router, transaction

from django_secure_sessions.models import (
    Authenticator,
    RecoveryCode,
    TrustedDevice,
    UserSecurity,
)

# What can be a second factor by itself. Recovery codes only stand in for these.
SECOND = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
# What it takes to add one, beside Django.
LIBRARIES = {
    Authenticator.Type.TOTP: ("pyotp", "segno"),
    Authenticator.Type.WEBAUTHN: ("webauthn",),
}
NAME_LENGTH = 64  # characters


def using() -> str:
    """The database that factors are read from and written to: never a replica."""
    return router.db_for_write(Authenticator)


def can_be_added(kind: Authenticator.Type) -> bool:
    """Whether the packages that a kind of factor takes are installed."""
    return all(find_spec(name) for name in LIBRARIES[kind])


def factors_of(user_id: Any) -> models.QuerySet[Authenticator]:
    """Return all confirmed factors of a user, disabled ones included."""
    found = Authenticator._base_manager.using(using())
    return found.filter(user_id=user_id, confirmed_at__isnull=False)


def usable(user_id: Any, kind: str) -> models.QuerySet[Authenticator]:
    """Return the factors of one kind that can prove something now."""
    return factors_of(user_id).filter(type=kind, disabled_at=None)


def has_factor(user_id: Any) -> bool:
    """
    Whether a login of this user takes a second factor.

    A disabled factor counts: it proves nothing any more, but it was never taken
    away, and a failure must not open the door.
    """
    return factors_of(user_id).filter(type__in=SECOND).exists()


def kinds_of(user_id: Any) -> set[str]:
    """Return the kinds of the factors that a user can use now."""
    found = factors_of(user_id).filter(disabled_at=None)
    return set(found.values_list("type", flat=True))


def clean_name(name: str) -> str:
    """Return a name as it may be stored: one line, not too long."""
    printable = "".join(character for character in name if character.isprintable())
    return printable.strip()[:NAME_LENGTH]


def rename(user_id: Any, factor_id: UUID, name: str) -> bool:
    """Name a factor of this user; ``False`` when there is no such factor."""
    found = factors_of(user_id).filter(pk=factor_id)
    return bool(found.update(name=clean_name(name)))


def remove(user_id: Any, factor_id: UUID) -> bool:
    """
    Take one factor from a user; ``False`` when there is no such factor.

    With the last one go the recovery codes and the trusted devices: they stand in
    for a factor that is no more.
    """
    with transaction.atomic(using=using()):
        found = factors_of(user_id).filter(pk=factor_id, type__in=SECOND)
        removed, _ = found.delete()
        if removed and not has_factor(user_id):
            clear(user_id)
    return bool(removed)


def clear(user_id: Any) -> bool:
    """Take every factor, code and trusted device from a user, and the failures."""
    with transaction.atomic(using=using()):
        codes = RecoveryCode._base_manager.using(using())
        codes.filter(authenticator__user_id=user_id).delete()
        everything = Authenticator._base_manager.using(using())
        removed, _ = everything.filter(user_id=user_id).delete()
        TrustedDevice._base_manager.using(using()).filter(user_id=user_id).delete()
        UserSecurity._base_manager.using(using()).filter(user_id=user_id).update(
            failures=0, locked_until=None
        )
    return bool(removed)


def disable_all(user_id: Any, now: Any) -> None:
    """Put every factor of a user out of use, until an administrator resets them."""
    factors_of(user_id).filter(disabled_at=None).update(disabled_at=now)
