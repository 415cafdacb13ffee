"""
Tell people by e-mail what happened to their second factor.

Heard through ``event_recorded``, so after the commit. A mail that can't be sent is
logged and changes nothing; ``MFA_NOTIFY`` names what sends instead, a task, say.
"""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from django_secure_sessions.conf import conf
from django_secure_sessions.models import SessionEvent
from django_secure_sessions.state import EventKind

logger = logging.getLogger("django_secure_sessions")

TEXTS: dict[str, str | Promise] = {
    EventKind.MFA_ENROLLED.value: _("A second factor was added to your account."),
    EventKind.MFA_REMOVED.value: _("A second factor was removed from your account."),
    EventKind.MFA_RESET.value: _(
        "An administrator removed all second factors from your account."
    ),
    EventKind.RECOVERY_USED.value: _(
        "One of your recovery codes was used to sign in or to confirm something."
    ),
    EventKind.RECOVERY_REGENERATED.value: _("Your recovery codes were replaced."),
    EventKind.DEVICE_TRUSTED.value: _(
        "A browser was trusted: it will not be asked for a code for a while."
    ),
    EventKind.MFA_LOCKED.value: _(
        "Somebody knows your password and has failed to show your second factor "
        "several times. If that was not you, change your password."
    ),
    EventKind.MFA_DISABLED.value: _(
        "After very many failed attempts your second factor was put out of use. "
        "Please contact an administrator, and change your password."
    ),
}


def notify(event: SessionEvent) -> None:
    """Have the owner told of an event that is worth a notice. Never raises."""
    if event.kind not in TEXTS or event.user_id is None:
        return
    if event.kind == EventKind.MFA_RESET and event.session_id is not None:
        return  # a session that the reset ended; the reset has a notice of its own
    send = conf.mfa_notify
    if send is None:
        return
    try:
        send(event)
    except Exception as error:
        # Without the message, which may quote an address.
        logger.error(
            "A notice of %s to user %s was not sent: %s",
            event.kind,
            event.user_id,
            type(error).__name__,
        )


def send_mail(event: SessionEvent) -> None:
    """Send the notice of an event to the address of its user, if there is one."""
    owner: Any = event.user_id
    user = get_user_model()._default_manager.filter(pk=owner).first()
    address = getattr(user, user.get_email_field_name(), "") if user else ""
    if not address:
        return
    context = {
        "event": event,
        "user": user,
        "text": TEXTS[event.kind],
        "sessions_path": _sessions_path(),
    }
    subject = render_to_string("secure_sessions/mfa/notice_subject.txt", context)
    body = render_to_string("secure_sessions/mfa/notice.txt", context)
    EmailMessage(" ".join(subject.split()), body, to=[address]).send()


def _sessions_path() -> str:
    """
    Return the path of the page with the user's sessions, ``""`` without one.

    No host: the one of the request is whatever the request said, and a link in a
    mail must not lead elsewhere.
    """
    try:
        return reverse("secure_sessions:session_list")
    except NoReverseMatch:
        return ""
