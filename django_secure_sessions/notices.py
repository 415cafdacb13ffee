"""
Tell people by e-mail what happened to their account.

Heard through ``event_recorded``, so after the commit. A mail that can't be sent is
logged and changes nothing; ``NOTIFY`` names what sends instead, a task, say.
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

from .conf import conf
from .devices import device_label, is_public, location
from .models import SessionEvent
from .state import EventKind

logger = logging.getLogger("django_secure_sessions")

TEXTS: dict[str, str | Promise] = {
    EventKind.NEW_DEVICE.value: _(
        "Somebody signed in to your account with a device or a browser that we did "
        "not know as yours."
    ),
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
    if event.kind == EventKind.NEW_DEVICE and conf.new_device != "notify":
        return
    if event.kind == EventKind.MFA_RESET and event.session_id is not None:
        return  # a session that the reset ended; the reset has a notice of its own
    send = conf.notify
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
        # Mail programs link what looks like a host, and the client chose this text.
        "device": device_label(event.user_agent).replace(".", " "),
        "address": _address(event.ip_address or ""),
        "sessions_path": _sessions_path(),
    }
    subject = render_to_string("secure_sessions/notice_subject.txt", context)
    body = render_to_string("secure_sessions/notice.txt", context)
    EmailMessage(" ".join(subject.split()), body, to=[address]).send()


def _address(ip: str) -> str:
    """Return an address with its place, ``""`` for a digest, which tells nobody."""
    if ip.startswith("h:"):
        return ""
    place = location(ip) if is_public(ip) else _("a private network")
    return f"{ip} ({place})" if ip and place else ip


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
