"""What a site gets when it installs the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "django_secure_sessions"
BUILD = "import setuptools.build_meta as build; print(build.build_wheel('.'))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the wheel, built from a copy so that the build leaves nothing here."""
    folder = tmp_path_factory.mktemp("source")
    leave_out = shutil.ignore_patterns("__pycache__", ".*", "build", "*.egg-info")
    shutil.copytree(ROOT, folder, dirs_exist_ok=True, ignore=leave_out)
    outcome = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILD],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    with zipfile.ZipFile(folder / outcome.stdout.splitlines()[-1]) as archive:
        yield archive


def test_wheel_holds_every_file_of_the_package(wheel):
    """Templates, static files, translations and the type marker reach the site."""
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    assert here - set(wheel.namelist()) == set()


def test_wheel_holds_nothing_but_the_package(wheel):
    """Neither tests nor the example site land in site-packages."""
    tops = {name.split("/")[0] for name in wheel.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {PACKAGE}
