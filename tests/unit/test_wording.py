"""Codes in words."""

from __future__ import annotations

from django_secure_sessions.mfa.devices import METHOD
from django_secure_sessions.state import EndReason, EventKind
from django_secure_sessions.wording import (
    EVENT_TEXTS,
    METHOD_TEXTS,
    REASON_TEXTS,
    event_text,
)


def test_every_code_has_words():
    """Nobody is shown a reason, an event or a method as it is stored."""
    assert REASON_TEXTS.keys() == {reason.value for reason in EndReason}
    assert EVENT_TEXTS.keys() == {kind.value for kind in EventKind}
    assert METHOD in METHOD_TEXTS


def test_an_end_is_told_as_an_end():
    """A session that ended is not taken for an act of the account."""
    for reason in EndReason:
        assert event_text(reason.value, of_session=True).startswith("Signed out")
    assert event_text("mfa_reset", of_session=False) == "Second factor reset"
