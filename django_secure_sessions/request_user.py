"""Whom a request belongs to: Django keeps that in four places."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser


def take_away(request: Any) -> None:
    """Make a request anonymous again, also below a wrapper of it."""
    for layer in (request, getattr(request, "_request", None)):
        if layer is None:
            continue
        give(layer, AnonymousUser())
        for remembered in ("_cached_user", "_acached_user"):
            vars(layer).pop(remembered, None)


def give(request: Any, user: Any) -> None:
    """Let everybody who has the request find this user, sync and async."""

    async def auser() -> Any:
        return user

    request.user, request.auser = user, auser
