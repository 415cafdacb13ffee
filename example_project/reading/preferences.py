"""What a reader's session remembers, typed."""

from __future__ import annotations

from django_secure_sessions.data import SessionData, SessionField

THEMES = {"auto": "Like my device", "light": "Light", "dark": "Dark"}
TEXT_SIZES = {"regular": "Regular", "large": "Large"}


class Preferences(SessionData, namespace="preferences"):
    """How a reader likes the pages."""

    theme = SessionField(str, default="auto")
    text_size = SessionField(str, default="regular")


class Shelf(SessionData, namespace="shelf"):
    """What a reader put aside, as slugs of articles, and what was read last."""

    slugs = SessionField(list[str], default_factory=list)
    last_read = SessionField(str)
