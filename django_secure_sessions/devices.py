"""
Names for people: the device behind a user agent, the place behind an address.

Both parse, and the place reads a file, so neither belongs on the path of a request:
call them where a person reads a list or a message, or once when a session begins.
The answers are English, so that a stored label doesn't depend on who caused it.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from django.conf import settings

from . import user_agents

if TYPE_CHECKING:
    from django.contrib.gis.geoip2 import GeoIP2

logger = logging.getLogger("django_secure_sessions")

UNKNOWN = "Unknown device"
# Characters: the width of Session.device_label.
LABEL_LENGTH = 120
# What ua-parser adds to a browser's name; the system says it already.
VARIANT = re.compile(r"\s*\b(?:Mobile|iOS|WebView|UI/WKWebView)\b\s*")


@lru_cache(maxsize=1024)
def device_label(user_agent: str) -> str:
    """
    Return a short name such as "Firefox on Linux", at most 120 characters.

    With ua-parser installed it knows rare browsers and robots too. The text comes
    from the client: escape it like any other.
    """
    browser, system = _rare_browser(user_agent), user_agents.system(user_agent)
    browser = browser or user_agents.browser(user_agent)
    label = f"{browser} on {system}" if browser and system else browser or system
    return label[:LABEL_LENGTH] or UNKNOWN


def location(ip: str | None) -> str:
    """
    Return "City, Country" of an address, as far as it is known, or ``""``.

    Needs ``GEOIP_PATH`` and the geoip2 library, as ``django.contrib.gis.geoip2``
    does. A private, reserved or hashed address is nowhere.
    """
    path = getattr(settings, "GEOIP_PATH", None)
    if not path or not ip or not is_public(ip):
        return ""
    database = _open_database(str(path))
    if database is None:
        return ""
    try:
        found = database.city(ip) if database.is_city else database.country(ip)
    except Exception:
        # Most often: the address isn't in the database. A label is never worth
        # an error in the page that shows it.
        return ""
    names = (found.get("city"), found["country_name"])
    return ", ".join(str(name) for name in names if name)


def _rare_browser(user_agent: str) -> str:
    """Return what only ua-parser can tell: who hides behind "Mozilla/5.0"."""
    if not user_agent.startswith("Mozilla/"):
        return ""
    try:
        from ua_parser import parse_user_agent
    except ImportError:
        return ""
    found = parse_user_agent(user_agent)
    return VARIANT.sub(" ", found.family).strip() if found else ""


def is_public(ip: str) -> bool:
    """Whether an address is one of the Internet's, and so could have a place."""
    try:
        return ip_address(ip).is_global
    except ValueError:
        return False


@lru_cache(maxsize=2)
def _open_database(path: str) -> GeoIP2 | None:
    try:
        from django.contrib.gis.geoip2 import HAS_GEOIP2, GeoIP2

        if not HAS_GEOIP2:
            raise ImportError("the geoip2 library is not installed")
        return GeoIP2(path)
    except Exception as error:
        # Cached with the answer, so it is said once and not per row of a list.
        logger.warning("GEOIP_PATH is set, but no place can be told: %a", str(error))
        return None
