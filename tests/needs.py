"""What a test needs beside Python, and what becomes of it where that is missing."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import NoReturn

import pytest

from tests import servers

PROGRAMS = {
    "redis-server": servers.REDIS,
    "memcached": servers.MEMCACHED,
    "initdb": servers.POSTGRESQL,
}


def lacking(reason: str, *, whole_module: bool = False) -> NoReturn:
    """Skip the running test; fail it if REQUIRE_SERVICES=1 says all is here."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=whole_module)


def need(*names: str) -> None:
    """Go on only if every program of these is on this machine."""
    for name in names:
        if PROGRAMS[name] is None:
            lacking(f"no {name} on this machine")


def need_module(name: str) -> None:
    """Go on only if a Python module can be imported."""
    if find_spec(name) is None:
        lacking(f"{name} is not installed")
