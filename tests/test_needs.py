"""A test that cannot run says so; where everything is promised, that is a failure."""

from __future__ import annotations

import pytest

from tests import needs


@pytest.mark.parametrize(
    ("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)]
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda: needs.need("redis-server"),
        lambda: needs.need_module("a_module_nobody_wrote"),
        lambda: needs.lacking("no Chromium"),
    ],
    ids=["program", "module", "anything else"],
)
def test_missing(ask, required, outcome, monkeypatch):
    """What is missing skips the test, and fails it with REQUIRE_SERVICES=1."""
    monkeypatch.setenv("REQUIRE_SERVICES", required)
    monkeypatch.setitem(needs.PROGRAMS, "redis-server", None)

    with pytest.raises(outcome, match=r"no |not installed"):
        ask()


def test_present(monkeypatch):
    """What is there lets the test go on."""
    monkeypatch.setitem(needs.PROGRAMS, "redis-server", "/bin/true")

    needs.need("redis-server")
    needs.need_module("django")
