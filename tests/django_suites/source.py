"""Where Django's own tests are: the source distribution of the installed version.

Wheels leave the tests out, and a copy in this repository would grow stale, so
the archive is fetched once with pip and its tests are kept under .cache.
DJANGO_SDIST_DIR names another folder to keep them in, or to take them from on a
machine without a network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

CACHE = Path(__file__).resolve().parent.parent.parent / ".cache" / "django"


class SourceUnavailable(Exception):
    """Django's source distribution cannot be had; the text says why."""


def source_folder() -> Path:
    """Return the `tests` folder of the installed Django, fetching it at need.

    Raises SourceUnavailable if it isn't here and cannot be fetched.
    """
    version = django.get_version()
    cache = Path(os.environ.get("DJANGO_SDIST_DIR") or CACHE)
    name = f"django-{version}"
    if not (cache / name).is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            scratch = Path(folder)
            unpack(download(version, scratch), scratch)
            try:
                # Whole or not at all: other runs may be looking at the same time.
                (scratch / name).rename(cache / name)
            except OSError:
                if not (cache / name).is_dir():
                    raise
    return cache / name / "tests"


def download(version: str, folder: Path) -> Path:
    """Return the archive of Django `version`, saved in `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-binary", "django"]
    command += ["--dest", str(folder), f"django=={version}"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = sorted(folder.glob("*.tar.gz"))
    if outcome.returncode or not archives:
        said = outcome.stderr.strip().splitlines() or ["pip saved no archive"]
        raise SourceUnavailable(
            f"the source distribution of Django {version} could not be fetched:"
            f" {said[-1]}"
        )
    return archives[0]


def unpack(archive: Path, folder: Path) -> None:
    """Extract the tests, and nothing else, from `archive` into `folder`."""
    with tarfile.open(archive) as bundle:
        members = [m for m in bundle if m.name.split("/")[1:2] == ["tests"]]
        bundle.extractall(folder, members, filter="data")
