"""
What a User-Agent header claims, by a small table: browser and system, no versions.

A claim and no more: anybody can send any text. It serves for labels and for
noticing that a session changed its browser, never as proof.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Order matters in both tables: nearly every browser also names the ones it
# descends from, and phones name the desktop system they are like.
BROWSERS = (
    ("Edge", re.compile(r"\bEdg(?:e|A|iOS)?/")),
    ("Opera", re.compile(r"\b(?:OPR|OPT|OPiOS|Opera)\b")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/")),
    ("Firefox", re.compile(r"\b(?:Firefox|FxiOS)/")),
    ("Chrome", re.compile(r"(?:Chrome|Chromium|CriOS)/")),
    # A web app on the home screen of an iPhone leaves the name Safari out.
    ("Safari", re.compile(r"Safari/|\((?:iPhone|iPad|iPod|Macintosh)\b.*AppleWebKit/")),
)
SYSTEMS = (
    ("iPhone", re.compile(r"\b(?:iPhone|iPod)\b")),
    ("iPad", re.compile(r"\biPad\b")),
    ("Android", re.compile(r"\bAndroid\b")),
    ("Windows", re.compile(r"\bWindows\b")),
    ("ChromeOS", re.compile(r"\bCrOS\b")),
    ("macOS", re.compile(r"\bMac(?:intosh|OS| OS X)\b")),
    ("Linux", re.compile(r"\b(?:Linux|X11)\b")),
)
# Programs put their own name first ("curl/8.5.0"); browsers all put "Mozilla".
PRODUCT = re.compile(r"(?!Mozilla\b)([A-Za-z][\w.+-]{0,39})(?:[/ ]|\Z)", re.ASCII)


@lru_cache(maxsize=1024)
def browser(user_agent: str) -> str:
    """
    Return the browser's or program's name without its version, ``""`` if unknown.

    An upgrade, and another system or "desktop site" on the same phone, keep the
    name.
    """
    for name, pattern in BROWSERS:
        if pattern.search(user_agent):
            return name
    product = PRODUCT.match(user_agent)
    return product.group(1) if product else ""


@lru_cache(maxsize=1024)
def system(user_agent: str) -> str:
    """Return the system's name without its version, ``""`` if unknown."""
    for name, pattern in SYSTEMS:
        if pattern.search(user_agent):
            return name
    return ""
