"""Configuration of the app behind Tidemark."""

from __future__ import annotations

from django.apps import AppConfig


class ReadingConfig(AppConfig):
    """A small magazine with a shelf for each reader."""

    name = "reading"
    verbose_name = "Tidemark"
