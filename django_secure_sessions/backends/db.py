"""The engine over the database alone: ``django_secure_sessions.backends.db``."""

from __future__ import annotations

from .base import TrackedSession


class SessionStore(TrackedSession):
    """Each request that reads its session costs one indexed SELECT, no more."""
