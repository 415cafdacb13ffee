"""Checks of ``SECURE_SESSIONS`` itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from django_secure_sessions.conf import DEFAULTS, duration
from django_secure_sessions.presets import PRESETS

from .kinds import KINDS

A_MINUTE = timedelta(minutes=1)


def check_keys(**kwargs: Any) -> list[CheckMessage]:
    """E001: not a dict. E002: a key that is none of ours, most likely misspelt."""
    everything = getattr(settings, "SECURE_SESSIONS", {})
    if not isinstance(everything, Mapping):
        return [
            Error(
                f"SECURE_SESSIONS must be a dict, not {type(everything).__name__}.",
                hint="SECURE_SESSIONS = {'MAX_SESSIONS': 3}",
                id="secure_sessions.E001",
            )
        ]
    found: list[CheckMessage] = []
    for key in everything:
        if key in DEFAULTS:
            continue
        alike = get_close_matches(str(key).upper(), DEFAULTS, n=1)
        found.append(
            Error(
                f"SECURE_SESSIONS[{key!r}] is no setting and has no effect.",
                hint=f"Did you mean {alike[0]!r}?" if alike else "Remove it.",
                id="secure_sessions.E002",
            )
        )
    return found


def check_values(**kwargs: Any) -> list[CheckMessage]:
    """E003: a value that the setting can't have."""
    found: list[CheckMessage] = []
    for key, value in written().items():
        kind = KINDS.get(key)
        problem = kind(value) if kind else None
        if problem:
            found.append(
                Error(
                    f"SECURE_SESSIONS[{key!r}] {problem}",
                    hint=f"The default is {DEFAULTS[key]!r}.",
                    id="secure_sessions.E003",
                )
            )
    return found


def check_preset(**kwargs: Any) -> list[CheckMessage]:
    """W101: a timeout that is longer than the chosen preset allows."""
    chosen = written()
    name = chosen.get("PRESET")
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        return []
    found: list[CheckMessage] = []
    limits = {"IDLE_TIMEOUT": preset.idle, "ABSOLUTE_TIMEOUT": preset.absolute}
    for key, limit in limits.items():
        if limit is None or key not in chosen or KINDS[key](chosen[key]):
            continue
        timeout = duration(chosen[key])
        if timeout is None or timeout > limit:
            found.append(
                Warning(
                    f"SECURE_SESSIONS[{key!r}] is longer than the {limit} of the "
                    f"preset {name!r}, and wins over it.",
                    hint=f"Shorten {key}, or leave it out.",
                    id="secure_sessions.W101",
                )
            )
    return found


def check_timeouts(**kwargs: Any) -> list[CheckMessage]:
    """W111, W112: timeouts that are allowed and hardly meant."""
    chosen = {
        key: duration(value)
        for key, value in {**DEFAULTS, **written()}.items()
        if key in ("IDLE_TIMEOUT", "ABSOLUTE_TIMEOUT") and not KINDS[key](value)
    }
    found: list[CheckMessage] = []
    idle, absolute = chosen.get("IDLE_TIMEOUT"), chosen.get("ABSOLUTE_TIMEOUT")
    if idle and absolute and idle > absolute:
        found.append(
            Warning(
                f"SECURE_SESSIONS['IDLE_TIMEOUT'], {idle}, is longer than "
                f"ABSOLUTE_TIMEOUT, {absolute}, and never comes into play.",
                hint="Shorten IDLE_TIMEOUT, or set it to None.",
                id="secure_sessions.W111",
            )
        )
    for key, value in chosen.items():
        if not value or value >= A_MINUTE:
            continue
        number = f"{value.total_seconds():g}"
        found.append(
            Warning(
                f"SECURE_SESSIONS[{key!r}] is {number} seconds: that is what a bare "
                "number counts.",
                hint=f"{key!r}: timedelta(minutes={number})",
                id="secure_sessions.W112",
            )
        )
    return found


def check_name(**kwargs: Any) -> list[CheckMessage]:
    """W113: a setting that is nearly SECURE_SESSIONS, and has no effect."""
    names = [name for name in dir(settings) if name.isupper()]
    alike = get_close_matches("SECURE_SESSIONS", names, n=3, cutoff=0.9)
    return [
        Warning(
            f"{name} is no setting of django-secure-sessions and has no effect.",
            hint="Did you mean SECURE_SESSIONS?",
            id="secure_sessions.W113",
        )
        for name in alike
        if name != "SECURE_SESSIONS"
    ]


def written() -> Mapping[str, Any]:
    """What the project wrote under our names; what isn't a dict is told elsewhere."""
    found = getattr(settings, "SECURE_SESSIONS", {})
    if not isinstance(found, Mapping):
        return {}
    return {key: value for key, value in found.items() if key in DEFAULTS}
