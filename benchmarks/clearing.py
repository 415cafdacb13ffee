"""
``clearsessions`` in a process of its own, as a timer starts it.

Says when it is ready, waits for a line, and prints how many seconds the command took.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")


def main() -> None:
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()
    began = perf_counter()
    call_command("clearsessions", verbosity=0)
    print(perf_counter() - began)


if __name__ == "__main__":
    main()
