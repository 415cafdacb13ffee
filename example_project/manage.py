#!/usr/bin/env python
"""Run a management command of the example site."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Hand the command line to Django with the example's settings."""
    # The example shows the package it lies beside, also before it is installed.
    sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
