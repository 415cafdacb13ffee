"""What is kept for how long, and removing the rest in small steps."""

from __future__ import annotations

from datetime import datetime


def purge(now: datetime) -> None:
    raise NotImplementedError
