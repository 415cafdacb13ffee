"""Add, rename, take away and reset factors: with history, and with consequences."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from django_secure_sessions import events, lifecycle
from django_secure_sessions.conf import conf
from django_secure_sessions.models import Authenticator, TrustedDevice
from django_secure_sessions.state import ClientInfo, EndReason, EventKind

from . import factors, recovery


def added(
    user: Any,
    authenticator: Authenticator,
    *,
    keep: UUID | None,
    now: datetime,
    client: ClientInfo,
) -> list[str]:
    """
    Settle what follows from a new factor; return recovery codes for showing once.

    There are codes only if the user had none. Other sessions of the user end, as
    ``MFA_ON_CHANGE`` says: whoever is in them has not shown the factor.
    """
    with transaction.atomic(using=factors.using()):
        _record(
            EventKind.MFA_ENROLLED,
            user,
            now,
            client,
            keep,
            type=authenticator.type,
            name=authenticator.name,
        )
        TrustedDevice._base_manager.using(factors.using()).filter(user=user).delete()
        codes = [] if recovery.remaining(user.pk) else recovery.generate(user, now)
    _end_others(user, keep, client)
    return codes


def renamed(
    user: Any,
    factor_id: UUID,
    name: str,
    *,
    session_id: UUID | None,
    now: datetime,
    client: ClientInfo,
) -> bool:
    """Name a factor; ``False`` when the user has no such factor."""
    with transaction.atomic(using=factors.using()):
        done = factors.rename(user.pk, factor_id, name)
        if done:
            _record(EventKind.MFA_RENAMED, user, now, client, session_id, name=name)
    return done


def removed(
    user: Any,
    factor_id: UUID,
    *,
    keep: UUID | None,
    now: datetime,
    client: ClientInfo,
) -> bool:
    """Take a factor away; ``False`` when the user has no such factor."""
    with transaction.atomic(using=factors.using()):
        found = factors.factors_of(user.pk).filter(pk=factor_id).first()
        if found is None or not factors.remove(user.pk, factor_id):
            return False
        TrustedDevice._base_manager.using(factors.using()).filter(user=user).delete()
        _record(
            EventKind.MFA_REMOVED,
            user,
            now,
            client,
            keep,
            type=found.type,
            name=found.name,
        )
    _end_others(user, keep, client)
    return True


def regenerated(
    user: Any, *, session_id: UUID | None, now: datetime, client: ClientInfo
) -> list[str]:
    """Replace the recovery codes and return the new ones, for showing once."""
    with transaction.atomic(using=factors.using()):
        codes = recovery.generate(user, now)
        _record(EventKind.RECOVERY_REGENERATED, user, now, client, session_id)
    return codes


def reset(
    user: Any, *, actor: str, reason: str, now: datetime, client: ClientInfo
) -> bool:
    """
    Take all factors from a user and end all of the user's sessions.

    For an administrator who made sure who is asking. Returns whether there was
    anything to take.
    """
    with transaction.atomic(using=factors.using()):
        done = factors.clear(user.pk)
        event = events.build(
            EventKind.MFA_RESET,
            now=now,
            user_id=user.pk,
            username=user.get_username(),
            client=client,
            actor=actor,
            detail={"reason": reason},
        )
        events.record([event])
    lifecycle.end_all(user, reason=EndReason.MFA_RESET, actor=actor, client=client)
    return done


def _end_others(user: Any, keep: UUID | None, client: ClientInfo) -> None:
    if conf.mfa_on_change == "end_others":
        lifecycle.end_others(
            user,
            keep,
            reason=EndReason.MFA_CHANGED,
            actor=user.get_username(),
            client=client,
        )


def _record(
    kind: EventKind,
    user: Any,
    now: datetime,
    client: ClientInfo,
    session_id: UUID | None,
    **detail: Any,
) -> None:
    event = events.build(
        kind,
        now=now,
        user_id=user.pk,
        username=user.get_username(),
        session_id=session_id,
        client=client,
        actor=user.get_username(),
        detail=detail,
    )
    events.record([event])
