"""Reasons and kinds of events in words: the codes are for programs."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .state import EndReason, EventKind

Texts = dict[str, str | Promise]

# Why a session ended, beside a session that says so.
REASON_TEXTS: Texts = {
    EndReason.LOGOUT.value: _("Signed out"),
    EndReason.IDLE.value: _("Inactive for too long"),
    EndReason.ABSOLUTE.value: _("Signed in for too long"),
    EndReason.EXPIRED.value: _("Expired"),
    EndReason.EVICTED.value: _("Replaced by a newer sign-in"),
    EndReason.REVOKED.value: _("Revoked"),
    EndReason.PASSWORD_CHANGED.value: _("Password changed"),
    EndReason.USER_DEACTIVATED.value: _("Account deactivated"),
    EndReason.USER_DELETED.value: _("Account deleted"),
    EndReason.BINDING.value: _("Connection or browser changed"),
    EndReason.FLUSHED.value: _("Ended by the site"),
    EndReason.MFA_RESET.value: _("Second factor reset"),
    EndReason.MFA_CHANGED.value: _("Second factor changed"),
}

# The same as an event: what happened is that a session ended, not that the password
# changed, which one change would else seem to do once per session.
END_TEXTS: Texts = {
    EndReason.LOGOUT.value: _("Signed out"),
    EndReason.IDLE.value: _("Signed out: inactive for too long"),
    EndReason.ABSOLUTE.value: _("Signed out: signed in for too long"),
    EndReason.EXPIRED.value: _("Signed out: session expired"),
    EndReason.EVICTED.value: _("Signed out: replaced by a newer sign-in"),
    EndReason.REVOKED.value: _("Signed out: session revoked"),
    EndReason.PASSWORD_CHANGED.value: _("Signed out: password changed"),
    EndReason.USER_DEACTIVATED.value: _("Signed out: account deactivated"),
    EndReason.USER_DELETED.value: _("Signed out: account deleted"),
    EndReason.BINDING.value: _("Signed out: connection or browser changed"),
    EndReason.FLUSHED.value: _("Signed out by the site"),
    EndReason.MFA_RESET.value: _("Signed out: second factor reset"),
    EndReason.MFA_CHANGED.value: _("Signed out: second factor changed"),
}

EVENT_TEXTS: Texts = {
    **END_TEXTS,
    EventKind.LOGIN.value: _("Signed in"),
    EventKind.LOGIN_FAILED.value: _("Sign-in failed"),
    EventKind.NEW_DEVICE.value: _("Signed in from a new device"),
    EventKind.LIMIT_REJECTED.value: _("Sign-in refused: too many sessions"),
    EventKind.LIMIT_ASKED.value: _("Sign-in waits: too many sessions"),
    EventKind.CLIENT_CHANGED.value: _("Used from another connection or browser"),
    EventKind.MFA_REQUIRED.value: _("Second factor asked for"),
    EventKind.MFA_ENROLLED.value: _("Second factor added"),
    EventKind.MFA_REMOVED.value: _("Second factor removed"),
    EventKind.MFA_RENAMED.value: _("Second factor renamed"),
    EventKind.MFA_VERIFIED.value: _("Second factor accepted"),
    EventKind.MFA_FAILED.value: _("Proof of identity refused"),
    EventKind.MFA_LOCKED.value: _("Too many failed proofs"),
    EventKind.MFA_DISABLED.value: _("Second factor disabled"),
    EventKind.RECOVERY_USED.value: _("Recovery code used"),
    EventKind.RECOVERY_REGENERATED.value: _("Recovery codes replaced"),
    EventKind.DEVICE_TRUSTED.value: _("Device trusted"),
    EventKind.DEVICE_FORGOTTEN.value: _("Device no longer trusted"),
    EventKind.STEP_UP.value: _("Identity confirmed"),
}

# Of what happened to a session and to an account alike, the latter.
ACCOUNT_TEXTS: Texts = {EventKind.MFA_RESET.value: _("Second factor reset")}

# Methods of authentication, by their names in a session's ``amr``.
METHOD_TEXTS: Texts = {
    "pwd": _("password"),
    "otp": _("code from an app"),
    "hwk": _("security key"),
    "recovery": _("recovery code"),
    "remembered_device": _("trusted browser"),
}


def reason_text(reason: str) -> str:
    """Return why a session ended, in a few words, translated."""
    return str(REASON_TEXTS.get(reason, reason))


def event_text(kind: str, *, of_session: bool) -> str:
    """
    Return what happened, in a few words, translated.

    ``of_session`` tells a session that ended from an account that something happened
    to: of a reset of the second factor there are events of both.
    """
    texts = EVENT_TEXTS if of_session else {**EVENT_TEXTS, **ACCOUNT_TEXTS}
    return str(texts.get(kind, kind))


def methods_text(amr: str) -> str:
    """Return how somebody signed in, in words, translated."""
    return ", ".join(str(METHOD_TEXTS.get(word, word)) for word in amr.split())
