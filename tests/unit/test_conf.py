"""SECURE_SESSIONS is read lazily, typed, in one place."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import override_settings

from django_secure_sessions.conf import DEFAULTS, conf, duration
from django_secure_sessions.state import LimitStrategy, Rules


def test_every_key_has_a_property():
    """Each setting can be read by its name in lower case, or is part of the rules."""
    ruled = {
        "MAX_SESSIONS",
        "LIMIT_STRATEGY",
        "PRESET",
        "IDLE_TIMEOUT",
        "ABSOLUTE_TIMEOUT",
        "RULES_FOR",
    }
    missing = [
        name
        for name in DEFAULTS
        if name not in ruled and not hasattr(conf, name.lower())
    ]

    assert missing == []


def test_defaults(settings):
    """Without the setting everything has a safe value."""
    del settings.SECURE_SESSIONS
    rules = conf.rules

    assert rules == Rules(
        timedelta(minutes=30), timedelta(hours=12), 3, LimitStrategy.EVICT_OLDEST
    )
    assert conf.binding == "off"
    assert conf.on_password_change == "end_others"


@pytest.fixture(autouse=True)
def _setting(settings):
    settings.SECURE_SESSIONS = {}


def test_override_settings_is_seen_at_once():
    """A value changes with the setting, and changes back."""
    before = conf.rules
    with override_settings(SECURE_SESSIONS={"MAX_SESSIONS": 7, "IDLE_TIMEOUT": 60}):
        assert conf.rules.max_sessions == 7
        assert conf.rules.idle == timedelta(seconds=60)
        with override_settings(SECURE_SESSIONS={"MAX_SESSIONS": None}):
            assert conf.rules.max_sessions is None
        assert conf.rules.max_sessions == 7

    assert conf.rules == before


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (90, timedelta(seconds=90)),
        (0.5, timedelta(milliseconds=500)),
        (timedelta(hours=1), timedelta(hours=1)),
        (None, None),
    ],
)
def test_durations(given, meant):
    """A duration is seconds or a timedelta."""
    assert duration(given) == meant


@pytest.mark.parametrize("idle", [None, 10, 60, 600, 3600])
def test_touch_interval(settings, idle):
    """Activity is written at least every tenth of the idle timeout."""
    limit = None if idle is None else timedelta(seconds=idle)
    interval = conf.touch_interval(limit)

    assert interval <= timedelta(seconds=60)
    assert limit is None or interval <= limit / 10


def by_name(user):
    """Rules for one user, by dotted path."""
    return Rules(timedelta(seconds=1), None) if user == "strict" else None


@pytest.mark.parametrize("spelled", [by_name, f"{__name__}.by_name"])
def test_rules_for(settings, spelled):
    """RULES_FOR is a function or the path of one; None means the site's rules."""
    settings.SECURE_SESSIONS = {"RULES_FOR": spelled}

    assert conf.rules_for("strict").idle == timedelta(seconds=1)
    assert conf.rules_for("other") == conf.rules
    assert conf.has_user_rules


@pytest.mark.parametrize(
    "name", [name for name, value in DEFAULTS.items() if str(value).count(".") > 1]
)
def test_dotted_defaults_exist(name):
    """Every path among the defaults leads to something that can be called."""
    assert callable(getattr(conf, name.lower()))
