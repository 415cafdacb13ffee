"""
What each key of ``SECURE_SESSIONS`` may hold.

A kind is a function that returns what is wrong with a value, or ``None``. The text
completes "SECURE_SESSIONS['KEY'] ...".
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from django.utils.module_loading import import_string

from django_secure_sessions.conf import duration
from django_secure_sessions.presets import PRESETS
from django_secure_sessions.state import LimitStrategy

Kind = Callable[[Any], "str | None"]


def optional(kind: Kind) -> Kind:
    return lambda value: None if value is None else kind(value)


def count(least: int) -> Kind:
    def judge(value: Any) -> str | None:
        is_count = isinstance(value, int) and not isinstance(value, bool)
        if is_count and value >= least:
            return None
        return f"must be a whole number from {least} up, not {value!r}."

    return judge


def span(least: timedelta = timedelta(0)) -> Kind:
    """A duration: a ``timedelta`` or seconds, no shorter than ``least``."""

    def judge(value: Any) -> str | None:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number and not isinstance(value, timedelta):
            return f"must be a timedelta or seconds, not {value!r}."
        try:
            found = duration(value)
        except (ValueError, OverflowError):
            return f"is no duration: {value!r}."
        if found is None or found < least:
            return f"must be at least {least.total_seconds():g} s, not {value!r}."
        return None

    return judge


def choice(*allowed: str) -> Kind:
    def judge(value: Any) -> str | None:
        if value in allowed:
            return None
        return f"must be one of {', '.join(map(repr, allowed))}, not {value!r}."

    return judge


def function(value: Any) -> str | None:
    """A function, or the dotted path of one."""
    if isinstance(value, str):
        try:
            found = import_string(value)
        except ImportError as error:
            return f"names what can't be imported: {error}."
    else:
        found = value
    return None if callable(found) else f"must name a function, not {value!r}."


def text(value: Any) -> str | None:
    return None if isinstance(value, str) else f"must be a text, not {value!r}."


def header(value: Any) -> str | None:
    if isinstance(value, str) and value.replace("-", "").isalnum() and value.isascii():
        return None
    return f"must be the name of a header, such as 'X-Forwarded-For', not {value!r}."


def texts(value: Any) -> str | None:
    if not isinstance(value, str) and isinstance(value, Collection):
        wrong = [item for item in value if not isinstance(item, str)]
        return f"holds {wrong[0]!r}, which is no text." if wrong else None
    return f"must be a list or tuple of texts, not {value!r}."


def prefixes(value: Any) -> str | None:
    problem = texts(value)
    if problem:
        return problem
    wrong = [item for item in value if not item.startswith("/")]
    return f"holds {wrong[0]!r}: a path begins with '/'." if wrong else None


def proxies(value: Any) -> str | None:
    """How many proxies, or which networks."""
    if isinstance(value, int):
        return count(0)(value)
    networks = (value,) if isinstance(value, str) else value
    problem = texts(networks)
    if problem:
        return "must be a count of proxies or a list of networks."
    for network in networks:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            return f"holds no network: {error}."
    return None


def who(value: Any) -> str | None:
    """Users: ``"staff"``, ``"all"``, names of groups, or a function of the user."""
    if callable(value) or (isinstance(value, str) and "." in value):
        return function(value)
    return None if isinstance(value, str) else texts(value)


_SECOND = timedelta(seconds=1)
_ON_CHANGE = choice("end_others", "end_all", "keep")

KINDS: dict[str, Kind] = {
    "MAX_SESSIONS": optional(count(1)),
    "LIMIT_STRATEGY": choice(*(strategy.value for strategy in LimitStrategy)),
    "RULES_FOR": optional(function),
    "PRESET": optional(choice(*PRESETS)),
    "IDLE_TIMEOUT": optional(span(_SECOND)),
    "ABSOLUTE_TIMEOUT": optional(span(_SECOND)),
    "TOUCH_INTERVAL": span(),
    "ROTATION_GRACE": span(),
    "PASSIVE_HEADER": optional(lambda value: None if value == "" else header(value)),
    "PASSIVE_VIEWS": texts,
    "TRUSTED_PROXIES": optional(proxies),
    "CLIENT_IP_HEADER": header,
    "CLIENT_IP": optional(function),
    "IP_PRIVACY": choice("full", "truncated", "hashed", "off"),
    "BINDING": choice("off", "log", "end"),
    "ON_PASSWORD_CHANGE": _ON_CHANGE,
    "ON_DEACTIVATE": choice("end_all", "keep"),
    "IMPERSONATION": optional(function),
    "NEW_DEVICE": choice("off", "log", "notify"),
    "NOTIFY": optional(function),
    "MFA_ISSUER": text,
    "MFA_WINDOW": count(0),
    "MFA_PENDING_AGE": span(_SECOND),
    "MFA_PENDING_TRIES": count(1),
    "MFA_REQUIRED_FOR": optional(who),
    "MFA_GRACE_PERIOD": span(),
    "MFA_TRUSTED_DEVICE_AGE": optional(span()),
    "MFA_ON_CHANGE": _ON_CHANGE,
    "MFA_RP_ID": text,
    "RECENT_AUTH": span(_SECOND),
    "ROLES": function,
    "API_PREFIXES": prefixes,
    "HISTORY": span(),
    "EVENT_RETENTION": optional(span()),
    "PREVIOUS_ENGINE": optional(text),
    "CACHE_TTL": span(_SECOND),
    "TOUCH_STORE": choice("database", "cache"),
}
