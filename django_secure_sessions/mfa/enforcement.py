"""Who must have a second factor, and since when."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

from django_secure_sessions.conf import conf
from django_secure_sessions.models import UserSecurity

from . import devices, factors


class Duty(Enum):
    """What a user still owes before the site is open to their session."""

    NOTHING = "nothing"
    ENROL = "enrol"
    STEP_UP = "step_up"


def is_required(user: Any) -> bool:
    """Whether this user must have a second factor, by ``MFA_REQUIRED_FOR``."""
    rule = conf.mfa_required_for
    if rule is None:
        return False
    if callable(rule):
        return bool(rule(user))
    if rule == "all":
        return True
    if rule == "staff":
        powers = ("is_staff", "is_superuser")
        return any(getattr(user, power, False) for power in powers)
    names = [rule] if isinstance(rule, str) else list(rule)
    return bool(user.groups.filter(name__in=names).exists())


def duty(user: Any, aal: int, amr: tuple[str, ...], now: datetime) -> Duty:
    """
    Return what a user owes, whose session is of this level by these methods.

    A session with a second factor owes nothing, and no query finds that out.
    """
    if aal >= 2 or not is_required(user):
        return Duty.NOTHING
    if factors.has_factor(user.pk):
        trusted = devices.METHOD in amr
        return Duty.NOTHING if trusted else Duty.STEP_UP
    return Duty.NOTHING if _in_grace(user.pk, now) else Duty.ENROL


def _in_grace(user_id: Any, now: datetime) -> bool:
    grace = conf.mfa_grace_period
    if not grace:
        return False
    return now < _required_since(user_id, now) + grace


def _required_since(user_id: Any, now: datetime) -> datetime:
    """Return when this user first had to have a factor; from now on, if never."""
    found = UserSecurity._base_manager.using(factors.using())
    own = found.filter(user_id=user_id)
    since: datetime | None = own.values_list("mfa_required_since", flat=True).first()
    if since is not None:
        return since
    found.bulk_create([UserSecurity(user_id=user_id)], ignore_conflicts=True)
    own.filter(mfa_required_since=None).update(mfa_required_since=now)
    return now
