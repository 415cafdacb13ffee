"""``{% load secure_sessions %}``: tell people that, and why, they are signed out."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils import timezone

from django_secure_sessions import overview
from django_secure_sessions.answers import ENDED_PARAMETER, ENDED_TEXTS, ended_text
from django_secure_sessions.backends.base import TrackedSession

register = template.Library()


@register.simple_tag(takes_context=True)
def session_ended_message(context: dict[str, Any]) -> str:
    """
    Return why the session ended, for the login page; ``""`` when there is nothing.

    Only known reasons count, so a made-up link can't put words on the page.
    """
    request = context.get("request")
    if request is None:
        return ""
    reason = request.GET.get(ENDED_PARAMETER, "")
    if reason in ENDED_TEXTS:
        user = getattr(request, "user", None)
        return "" if user and user.is_authenticated else ended_text(reason)
    ended = getattr(request.session, "ended", None)
    return ended_text(ended.reason) if ended and ended.reason in ENDED_TEXTS else ""


@register.inclusion_tag("secure_sessions/timeout_warning.html", takes_context=True)
def session_timeout_warning(
    context: dict[str, Any], seconds: int = 120
) -> dict[str, Any]:
    """
    Have a script warn whoever is signed in, so many seconds before a timeout.

    WCAG 2.2, success criterion 2.2.1, asks for 20 at the least, and for one simple
    action that extends the time. Half of an idle timeout that is shorter than that.
    """
    request = context.get("request")
    session = getattr(request, "session", None)
    user = getattr(request, "user", None)
    if not isinstance(session, TrackedSession) or not (user and user.is_authenticated):
        return {}
    row = session.row
    if row is None:
        return {}  # signed in by this very request
    idle = session.rules_of(row).idle
    if idle is not None:
        seconds = min(seconds, int(idle.total_seconds()) // 2)
    left = overview.time_left(row, timezone.now())["remaining"]
    return {"quiet_seconds": max(left - seconds, 0), "seconds": seconds}
