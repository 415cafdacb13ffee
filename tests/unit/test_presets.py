"""The named rules are the numbers of their sources."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_secure_sessions.conf import conf
from django_secure_sessions.presets import PRESETS


@pytest.mark.parametrize(
    ("name", "idle", "absolute"),
    [
        ("nist_aal1", None, timedelta(days=30)),
        ("nist_aal2", timedelta(hours=1), timedelta(hours=24)),
        ("nist_aal3", timedelta(minutes=15), timedelta(hours=12)),
        ("owasp_high", timedelta(minutes=5), timedelta(hours=4)),
        ("owasp_low", timedelta(minutes=30), timedelta(hours=8)),
    ],
)
def test_numbers(settings, name, idle, absolute):
    """SP 800-63B-4, sections 2.1.3 to 2.3.3, and OWASP's cheat sheet."""
    settings.SECURE_SESSIONS = {"PRESET": name}

    assert (conf.rules.idle, conf.rules.absolute) == (idle, absolute)


def test_defaults_are_no_laxer_than_aal3():
    """Out of the box a session ends after the strictest overall limit of NIST."""
    assert conf.rules.absolute <= PRESETS["nist_aal3"].absolute
    assert conf.rules.idle <= PRESETS["owasp_low"].idle


def test_setting_wins_over_preset(settings):
    """One number of a preset can be replaced."""
    settings.SECURE_SESSIONS = {"PRESET": "nist_aal2", "IDLE_TIMEOUT": 60}

    assert conf.rules.idle == timedelta(seconds=60)
    assert conf.rules.absolute == timedelta(hours=24)


def test_none_wins_over_preset(settings):
    """Even by no limit at all."""
    settings.SECURE_SESSIONS = {"PRESET": "nist_aal2", "IDLE_TIMEOUT": None}

    assert conf.rules.idle is None


def test_presets_cannot_be_changed():
    """They are the same for all of a process."""
    with pytest.raises(TypeError):
        PRESETS["nist_aal1"] = PRESETS["nist_aal3"]
