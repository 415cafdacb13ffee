"""A user model of the site's own, in a process of its own: it is chosen at start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITE = "tests/custom_user/suite.py"


def test_uuid_key_and_renamed_username():
    """All of tests/custom_user/suite.py passes, on both engines and both handlers."""
    command = [sys.executable, "-m", "pytest", "-q", SUITE, "--nomigrations"]
    result = subprocess.run(  # noqa: S603 - a fixed command
        [*command, "--ds=tests.custom_user.settings", "-p", "no:cacheprovider"],
        cwd=ROOT,
        # Its caches are its own.
        env={**os.environ, "TEST_DB_SUFFIX": "custom_user"},
        capture_output=True,
        text=True,
        timeout=300,  # seconds
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "skipped" not in result.stdout
