"""Django's signals, turned into the verbs of ``lifecycle``."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user_model, signals
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.http import HttpRequest
from django.utils import timezone

from . import accounts, events, lifecycle, new_devices, notices, request_user
from .backends import ending
from .backends.base import TrackedSession
from .backends.owning import Proof
from .client import identify
from .conf import conf
from .mfa import devices, factors, pending
from .models import Session, SessionEvent
from .signals import event_recorded
from .state import EndReason, EventKind

_UID = "secure_sessions."
# Left on a user from the beginning of a save to its end.
_CHANGES = "_secure_sessions_changes"


def connect() -> None:
    """Connect all receivers; called once, from ``AppConfig.ready``."""
    user_model = get_user_model()
    signals.user_logged_in.connect(logged_in, dispatch_uid=_UID + "logged_in")
    signals.user_logged_out.connect(logged_out, dispatch_uid=_UID + "logged_out")
    signals.user_login_failed.connect(login_failed, dispatch_uid=_UID + "failed")
    pre_save.connect(saving_user, sender=user_model, dispatch_uid=_UID + "saving")
    post_save.connect(user_saved, sender=user_model, dispatch_uid=_UID + "saved")
    TrackedSession.before_binding = pending.hold_back
    event_recorded.connect(recorded, dispatch_uid=_UID + "recorded")
    pre_delete.connect(user_deleted, sender=user_model, dispatch_uid=_UID + "deleted")
    # An engine that can't be imported is for a check to tell of, which runs later.
    with suppress(ImportError, AttributeError):
        if ending.keeps_copies():
            connect_to_rows()


def connect_to_rows() -> None:
    """
    Hear of rows that a project saves or deletes itself.

    Only for an engine that keeps copies: with a receiver for its rows, a deletion by
    the ORM fetches them first.
    """
    for signal, name in ((post_save, "row_saved"), (post_delete, "row_deleted")):
        signal.connect(row_changed, sender=Session, dispatch_uid=_UID + name)


def logged_in(
    sender: Any, user: Any, request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """
    Prepare the session of a login; its save binds it and enforces the limit.

    For a user with a second factor nothing is bound: whatever called ``login()``,
    the session keeps a half-done login and the request is anonymous.

    Binding waits for the save, after the view: only then is it known whether the
    response failed, whether the view's transaction was rolled back, and whether
    somebody impersonates the user.
    """
    session = getattr(request, "session", None)
    if request is None or not isinstance(session, TrackedSession):
        return
    session.login_user = user
    # Whoever signs in anew does not finish what somebody left half done.
    pending.drop(session)
    if session.is_new_login:
        return  # finished a moment ago, and bound already
    now = timezone.now()
    if session.proof.aal < 2 and factors.has_factor(user.pk):
        token = getattr(request, "COOKIES", {}).get(devices.COOKIE)
        if not devices.is_trusted(user, token, now, session.known_id()):
            pending.suspend(session, now)
            request_user.take_away(request)
            return
        session.proof = Proof(1, f"{session.proof.amr} {devices.METHOD}")
    if session.is_bound_to(user.pk):
        session.login_again()


def logged_out(
    sender: Any, request: HttpRequest | None = None, user: Any = None, **kwargs: Any
) -> None:
    """Name the reason before Django flushes the session."""
    session = getattr(request, "session", None)
    if isinstance(session, TrackedSession):
        session.end_reason = EndReason.LOGOUT


def login_failed(
    sender: Any,
    credentials: dict[str, Any],
    request: HttpRequest | None = None,
    **kwargs: Any,
) -> None:
    """Record a failed login: who was tried and from where, never with what."""
    field = get_user_model().USERNAME_FIELD
    name = credentials.get(field, credentials.get("username", ""))
    client = identify(request) if request is not None else None
    events.record(
        [
            events.build(
                EventKind.LOGIN_FAILED,
                now=timezone.now(),
                username=str(name or ""),
                client=client,
            )
        ]
    )


def saving_user(
    sender: Any,
    instance: Any,
    using: str,
    raw: bool = False,
    update_fields: Any = None,
    **kwargs: Any,
) -> None:
    """Compare the account with the stored one, while there is one to compare."""
    if not (raw or instance._state.adding or instance.pk is None):
        vars(instance)[_CHANGES] = accounts.changing(instance, using, update_fields)


def user_saved(
    sender: Any,
    instance: Any,
    created: bool = False,
    raw: bool = False,
    update_fields: Any = None,
    **kwargs: Any,
) -> None:
    """
    End sessions when a user got a new password or was deactivated.

    Also when a user is active again: a bulk update, which sends no signal, may have
    deactivated them, and what no request has ended since would revive.
    """
    changed = vars(instance).pop(_CHANGES, frozenset[str]())
    if created or raw:
        return
    told = accounts.writes(instance, "is_active", update_fields)
    # Now, or until now.
    inactive = "is_active" in changed or (told and not instance.is_active)
    if inactive and conf.on_deactivate == "end_all":
        # A backend may let the inactive in: who then activates the account stays.
        spared = lifecycle.current_session_of(instance) if instance.is_active else None
        lifecycle.end_others(instance, spared, reason=EndReason.USER_DEACTIVATED)
    elif "password" in changed:
        _password_changed(instance, conf.on_password_change)


def _password_changed(user: Any, policy: str) -> None:
    if policy == "keep":
        return
    current = lifecycle.current_session_of(user)
    lifecycle.end_others(
        user,
        current if policy == "end_others" else None,
        reason=EndReason.PASSWORD_CHANGED,
        actor=user.get_username() if current else events.SYSTEM,
    )


def recorded(sender: Any, event: SessionEvent, **kwargs: Any) -> None:
    """Look whether a login came from a new device, and tell users what they should."""
    new_devices.note(event)
    notices.notify(event)


def user_deleted(sender: Any, instance: Any, using: str, **kwargs: Any) -> None:
    """
    End a user's sessions before their rows go with the user.

    The audit trail stays, under the name the user had.
    """
    lifecycle.end_all(instance, reason=EndReason.USER_DELETED)
    history = SessionEvent._base_manager.using(using).filter(user=instance)
    history.update(username=instance.get_username()[:254])


def row_changed(sender: Any, instance: Session, **kwargs: Any) -> None:
    """Have copies of a row dropped that was changed past the engine."""
    ending.engine().forget([instance])
