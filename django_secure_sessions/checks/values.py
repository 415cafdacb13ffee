"""Checks of ``SECURE_SESSIONS`` itself."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from django_secure_sessions.conf import DEFAULTS, duration
from django_secure_sessions.presets import PRESETS

from .kinds import KINDS


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


def written() -> Mapping[str, Any]:
    """What the project wrote under our names; what isn't a dict is told elsewhere."""
    found = getattr(settings, "SECURE_SESSIONS", {})
    if not isinstance(found, Mapping):
        return {}
    return {key: value for key, value in found.items() if key in DEFAULTS}
