"""The public types, judged by the checkers that sites use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.needs import need_module

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(str(path) for path in (ROOT / "tests" / "typing").glob("*.py"))


def checker(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a type checker on the files, where it is installed."""
    need_module(module)
    return subprocess.run(  # noqa: S603 - a fixed command
        [sys.executable, "-m", module, *arguments, *FILES],
        cwd=ROOT,
        # Without it pyright looks for a newer release of itself on the network.
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=300,  # seconds
        check=False,
    )


def test_mypy_strict_infers_what_the_files_assert():
    """mypy agrees with every asserted type and every expected error."""
    result = checker(
        "mypy",
        "--strict",
        # Not the project's own configuration: a site's checker has its own, and
        # reports what is wrong in its own files only.
        "--config-file=",
        "--follow-imports=silent",
        f"--cache-dir={ROOT / '.cache' / 'typing'}",
    )

    assert result.returncode == 0, result.stdout + result.stderr


def test_pyright_strict_infers_what_the_files_assert():
    """pyright agrees with every asserted type and every expected error."""
    result = checker("pyright", "--pythonpath", sys.executable)

    assert result.returncode == 0, result.stdout + result.stderr
