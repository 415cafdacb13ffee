"""What every template of the site may use."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from .preferences import Preferences


def preferences(request: HttpRequest) -> dict[str, Any]:
    """Return the reader's preferences; an error page may have none."""
    session = getattr(request, "session", None)
    return {} if session is None else {"preferences": Preferences(session)}
