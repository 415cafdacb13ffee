"""Checks of the engine whose sessions are taken over."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import signed_cookies
from django.contrib.sessions.backends.base import SessionBase
from django.core.cache import caches
from django.core.checks import CheckMessage, Error, Warning

from django_secure_sessions.backends import ending
from django_secure_sessions.backends.base import TrackedSession

from .values import written


def check_previous_engine(**kwargs: Any) -> list[CheckMessage]:
    """E014: an engine from which no session can be taken over."""
    path = written().get("PREVIOUS_ENGINE")
    problem = _problem(path) if path and isinstance(path, str) else ""
    if not problem:
        return []
    return [
        Error(
            f"SECURE_SESSIONS['PREVIOUS_ENGINE'] = {path!r} {problem}.",
            hint=(
                "Name what SESSION_ENGINE was before, such as "
                "'django.contrib.sessions.backends.db', or leave it out."
            ),
            id="secure_sessions.E014",
        )
    ]


def check_previous_engine_is_temporary(**kwargs: Any) -> list[CheckMessage]:
    """W114: sessions of another engine are still taken over."""
    if not written().get("PREVIOUS_ENGINE"):
        return []
    return [
        Warning(
            "SECURE_SESSIONS['PREVIOUS_ENGINE'] is set: cookies are looked up in that "
            "engine too, and nobody can list or revoke the sessions there.",
            hint=(
                f"Take it out {settings.SESSION_COOKIE_AGE / 86_400:g} days after the "
                "switch (SESSION_COOKIE_AGE): by then every old cookie is out of date."
            ),
            id="secure_sessions.W114",
        )
    ]


def _problem(path: str) -> str:
    """Say what is wrong with an engine, ``""`` if nothing is."""
    try:
        store = import_module(path).SessionStore
        if not issubclass(store, SessionBase):
            return "has no SessionStore that derives from SessionBase"
        if issubclass(store, TrackedSession):
            return "is an engine of this package, which reads its own sessions anyway"
        if issubclass(store, signed_cookies.SessionStore):
            return "keeps nothing on the server, so that no logout would last"
        made = store()
        getattr(made, "model", None)  # raises where its app is not installed
        cache = getattr(made, "_cache", None)
        shared = cache is not None and cache is caches[settings.SESSION_CACHE_ALIAS]
        if shared and ending.keeps_copies():
            return "uses the cache of SESSION_CACHE_ALIAS, which holds bytes only now"
    except Exception as error:  # whatever a foreign module raises
        return f"can't be used: {type(error).__name__}: {error}"
    return ""
