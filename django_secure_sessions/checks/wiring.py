"""Checks of what must fit together for sessions to work at all."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error, Warning
from django.middleware.cache import UpdateCacheMiddleware
from django.utils.module_loading import import_string

from django_secure_sessions.answers import has_choice_page
from django_secure_sessions.backends.base import TrackedSession
from django_secure_sessions.middleware import SecureSessionMiddleware

from .pickles import is_pickling
from .values import written

OURS = "django_secure_sessions.middleware.SecureSessionMiddleware"


def check_engine(**kwargs: Any) -> list[CheckMessage]:
    """E004: sessions are kept by an engine that can't end or limit them."""
    try:
        store = import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):
        store = object
    if issubclass(store, TrackedSession):
        return []
    return [
        Error(
            f"SESSION_ENGINE = {settings.SESSION_ENGINE!r} is no engine of "
            "django-secure-sessions: nothing is limited, ended or recorded.",
            hint="SESSION_ENGINE = 'django_secure_sessions.backends.db'",
            id="secure_sessions.E004",
        )
    ]


def check_middleware(**kwargs: Any) -> list[CheckMessage]:
    """E005 to E008: our middleware is absent, doubled, or in the wrong place."""
    classes = _middleware()
    places = _places(classes, SecureSessionMiddleware)
    if not places:
        return [
            Error(
                f"MIDDLEWARE lacks '{OURS}'.",
                hint=(
                    "Put it in place of "
                    "'django.contrib.sessions.middleware.SessionMiddleware'."
                ),
                id="secure_sessions.E005",
            )
        ]
    found: list[CheckMessage] = []
    if len(_places(classes, SessionMiddleware)) > 1:
        found.append(
            Error(
                "MIDDLEWARE has two session middlewares; the last one wins.",
                hint=f"Keep '{OURS}' alone.",
                id="secure_sessions.E006",
            )
        )
    # By name: contrib.auth may not be installed, and a project may have its own.
    authentication = [
        place
        for place, (path, _) in enumerate(classes)
        if path.endswith(".AuthenticationMiddleware")
    ]
    if authentication and authentication[0] < places[0]:
        found.append(
            Error(
                f"In MIDDLEWARE '{OURS}' comes after AuthenticationMiddleware, "
                "which needs it.",
                hint="Move it before AuthenticationMiddleware.",
                id="secure_sessions.E007",
            )
        )
    caching = _places(classes, UpdateCacheMiddleware)
    if caching and caching[-1] > places[0]:
        found.append(
            Error(
                "In MIDDLEWARE UpdateCacheMiddleware comes after the session "
                "middleware: it stores pages before they are marked as differing by "
                "session, and shows one visitor's to the next.",
                hint="Move UpdateCacheMiddleware to the top.",
                id="secure_sessions.E008",
            )
        )
    return found


def check_cookie_prefix(**kwargs: Any) -> list[CheckMessage]:
    """E009, E010: a cookie whose name promises what its attributes don't keep."""
    name = settings.SESSION_COOKIE_NAME
    prefix = next((p for p in ("__Host-", "__Secure-") if _starts(name, p)), None)
    if prefix is None:
        return []
    found: list[CheckMessage] = []
    if not name.startswith(prefix):
        found.append(
            Error(
                f"SESSION_COOKIE_NAME = {name!r} spells the prefix wrong: browsers "
                "that compare exactly give it no protection.",
                hint=f"Spell it {prefix!r}.",
                id="secure_sessions.E009",
            )
        )
    # RFC 6265bis, 4.1.3.
    needs = {"SESSION_COOKIE_SECURE = True": settings.SESSION_COOKIE_SECURE}
    if prefix == "__Host-":
        needs["SESSION_COOKIE_PATH = '/'"] = settings.SESSION_COOKIE_PATH == "/"
        needs["SESSION_COOKIE_DOMAIN = None"] = not settings.SESSION_COOKIE_DOMAIN
    missing = [need for need, is_met in needs.items() if not is_met]
    if missing:
        found.append(
            Error(
                f"Browsers refuse a cookie named {name!r} as it is set here: nobody "
                "can sign in.",
                hint=f"Set {', '.join(missing)}.",
                id="secure_sessions.E010",
            )
        )
    return found


def check_save_every_request(**kwargs: Any) -> list[CheckMessage]:
    """W102: each request writes its session, which the touch makes needless."""
    if not settings.SESSION_SAVE_EVERY_REQUEST:
        return []
    return [
        Warning(
            "SESSION_SAVE_EVERY_REQUEST writes the session and sends its cookie with "
            "every response.",
            hint=(
                "Set it to False: activity is recorded without it, as often as "
                "SECURE_SESSIONS['TOUCH_INTERVAL'] says."
            ),
            id="secure_sessions.W102",
        )
    ]


def check_serializer(**kwargs: Any) -> list[CheckMessage]:
    """E011: session data that runs code when it is read."""
    path = settings.SESSION_SERIALIZER
    try:
        pickling = is_pickling(import_string(path)())
    except Exception as error:
        problem = f"can't be used: {type(error).__name__}: {error}"
    else:
        if not pickling:
            return []
        problem = (
            "pickles session data: whoever learns SECRET_KEY can then run code on "
            "this server, not only read and forge sessions"
        )
    return [
        Error(
            f"SESSION_SERIALIZER = {path!r} {problem}.",
            hint=(
                "SESSION_SERIALIZER = "
                "'django.contrib.sessions.serializers.JSONSerializer'"
            ),
            id="secure_sessions.E011",
        )
    ]


def check_choice_page(**kwargs: Any) -> list[CheckMessage]:
    """E013: the limit asks, and nobody can answer."""
    if written().get("LIMIT_STRATEGY") != "ask" or has_choice_page():
        return []
    return [
        Error(
            "SECURE_SESSIONS['LIMIT_STRATEGY'] is 'ask', and the page that asks has no "
            "address: logins beyond the limit are refused.",
            hint="path('account/', include('django_secure_sessions.urls'))",
            id="secure_sessions.E013",
        )
    ]


def _middleware() -> list[tuple[str, Any]]:
    """Each entry of MIDDLEWARE with what it names; Django tells of broken ones."""
    found = []
    for path in settings.MIDDLEWARE:
        try:
            found.append((path, import_string(path)))
        except ImportError:
            found.append((path, None))
    return found


def _places(classes: list[tuple[str, Any]], wanted: type) -> list[int]:
    return [
        place
        for place, (_, found) in enumerate(classes)
        if isinstance(found, type) and issubclass(found, wanted)
    ]


def _starts(name: str, prefix: str) -> bool:
    return name.lower().startswith(prefix.lower())
