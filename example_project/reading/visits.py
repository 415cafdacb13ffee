"""The invented past of the demo: who came, from where, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django_secure_sessions.events import SYSTEM
from django_secure_sessions.state import EndReason

MAC_SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/26.0 Safari/605.1.15"
)
IPHONE_SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
)
WINDOWS_CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36"
)
WINDOWS_EDGE = f"{WINDOWS_CHROME} Edg/148.0.0.0"
ANDROID_CHROME = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/148.0.0.0 Mobile Safari/537.36"
)
LINUX_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"


@dataclass(frozen=True)
class Visit:
    """
    One session, told backwards from now.

    ``began`` and ``last_active`` are ages. ``end`` is ``None`` while it lives;
    an ended one ended when it was last active. ``actor`` is who asked for it: nobody
    else where the visitor, or time, did.
    """

    username: str
    ip: str
    user_agent: str
    began: timedelta
    last_active: timedelta
    end: EndReason | None = None
    actor: str = ""


@dataclass(frozen=True)
class FailedLogin:
    """A wrong password, ``age`` ago."""

    username: str
    ip: str
    user_agent: str
    age: timedelta


def _ago(days: int = 0, hours: int = 0, minutes: int = 0) -> timedelta:
    return timedelta(days=days, hours=hours, minutes=minutes)


# Addresses come from the ranges kept for documentation (RFC 5737, RFC 3849).
# Nobody has more than two live sessions: the third is for you.
VISITS = (
    Visit("ingrid", "192.0.2.14", MAC_SAFARI, _ago(hours=3), _ago(minutes=6)),
    Visit(
        "ingrid",
        "192.0.2.14",
        MAC_SAFARI,
        _ago(days=1, hours=4),
        _ago(days=1),
        EndReason.LOGOUT,
    ),
    Visit("tomas", "192.0.2.31", LINUX_FIREFOX, _ago(hours=5), _ago(minutes=2)),
    Visit(
        "tomas",
        "192.0.2.31",
        LINUX_FIREFOX,
        _ago(days=2, hours=13),
        _ago(days=2, hours=1),
        EndReason.ABSOLUTE,
    ),
    Visit("amara", "198.51.100.23", MAC_SAFARI, _ago(hours=2), _ago(minutes=3)),
    Visit("amara", "2001:db8:4a:17::c2", IPHONE_SAFARI, _ago(hours=7), _ago(minutes=9)),
    Visit(
        "amara",
        "203.0.113.9",
        WINDOWS_EDGE,
        _ago(days=3, hours=2),
        _ago(days=3),
        EndReason.EVICTED,
        actor=SYSTEM,
    ),
    Visit(
        "amara",
        "198.51.100.23",
        MAC_SAFARI,
        _ago(days=6, hours=2),
        _ago(days=6),
        EndReason.IDLE,
    ),
    Visit("jun", "203.0.113.84", WINDOWS_CHROME, _ago(hours=4), _ago(minutes=11)),
    Visit(
        "jun",
        "192.0.2.200",
        LINUX_FIREFOX,
        _ago(hours=8),
        _ago(hours=7),
        EndReason.REVOKED,
        actor="tomas",
    ),
    Visit(
        "jun",
        "2001:db8:90::5",
        ANDROID_CHROME,
        _ago(hours=14),
        _ago(hours=6, minutes=50),
        EndReason.PASSWORD_CHANGED,
        actor="jun",
    ),
    Visit("leila", "2001:db8:77:1::a", ANDROID_CHROME, _ago(hours=1), _ago(minutes=1)),
    Visit(
        "leila",
        "198.51.100.77",
        WINDOWS_CHROME,
        _ago(days=1, hours=3),
        _ago(days=1, hours=2),
        EndReason.LOGOUT,
    ),
    Visit(
        "leila",
        "2001:db8:77:1::a",
        ANDROID_CHROME,
        _ago(days=9, hours=1),
        _ago(days=9),
        EndReason.IDLE,
    ),
)

FAILED_LOGINS = (
    FailedLogin("jun", "192.0.2.200", LINUX_FIREFOX, _ago(hours=8, minutes=4)),
    FailedLogin("jun", "192.0.2.200", LINUX_FIREFOX, _ago(hours=8, minutes=3)),
    FailedLogin("jun", "192.0.2.200", LINUX_FIREFOX, _ago(hours=8, minutes=2)),
    FailedLogin("leila", "198.51.100.77", WINDOWS_CHROME, _ago(days=1, hours=3)),
)
