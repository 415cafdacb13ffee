"""``{% load secure_sessions %}``: tell people why they were signed out."""

from __future__ import annotations

from typing import Any

from django import template

from django_secure_sessions.answers import ENDED_PARAMETER, ENDED_TEXTS, ended_text

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
