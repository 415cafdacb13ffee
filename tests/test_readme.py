"""What the README says to paste can be pasted."""

from __future__ import annotations

import re
from pathlib import Path

from django.urls import URLResolver

README = Path(__file__).resolve().parent.parent / "README.md"


def test_install_runs_as_it_stands():
    """The settings and the addresses of "Install" miss no import and no name."""
    text = README.read_text()
    install = text[text.index("## Install") : text.index("## Use")]
    site = {"INSTALLED_APPS": [], "urlpatterns": []}
    for block in re.findall(r"```python\n(.*?)```", install, re.S):
        exec(block, site)  # noqa: S102 - our own README

    assert site["INSTALLED_APPS"] == ["django_secure_sessions"]
    assert all(isinstance(name, str) for name in site["MIDDLEWARE"])
    (pages,) = site["urlpatterns"]
    assert isinstance(pages, URLResolver)
