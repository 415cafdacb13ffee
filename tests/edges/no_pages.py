"""URLs of a site that uses none of our pages."""

from __future__ import annotations

from typing import Any

urlpatterns: list[Any] = []
