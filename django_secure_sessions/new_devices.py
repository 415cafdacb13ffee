"""
Notice a login from a device that its user was not seen with before.

A device is what a User-Agent claims, browser and system without versions: an update
is no new device, and neither is the same laptop in a train. Known are the devices of
the user's own earlier logins in the audit trail, which outlives the sessions.
"""

from __future__ import annotations

from django.db import router

from . import events, user_agents
from .conf import conf
from .models import Session, SessionEvent
from .signals import new_device_seen
from .state import ClientInfo, EventKind

# Logins that are looked back at: one a day for most of three years, one a minute
# for less than a day. Bounds what a login of a busy account has to read.
REMEMBERED = 1000


def note(event: SessionEvent) -> None:
    """
    Follow a login from a new device with an event and a signal.

    Costs one SELECT; call it once the login is committed, whose transaction holds a
    lock. The first login of a user, and one of somebody else who acts as the user,
    is never from a new device, nor is a session that moved here from another engine.
    """
    if event.kind != EventKind.LOGIN or event.actor or event.detail.get("moved"):
        return
    if conf.new_device == "off" or not _is_new(event):
        return
    client = ClientInfo(event.ip_address, event.user_agent)
    new = events.build(
        EventKind.NEW_DEVICE,
        now=event.at,
        user_id=event.user_id,
        session_id=event.session_id,
        client=client,
        username=event.username,
    )
    events.record([new])
    new_device_seen.send_robust(
        Session, session_id=event.session_id, user_id=event.user_id, client=client
    )


def _is_new(login: SessionEvent) -> bool:
    # Only earlier ones: of two logins at once from the same new device, each would
    # else take the other for proof that the device is known.
    earlier = SessionEvent._base_manager.using(router.db_for_write(SessionEvent))
    agents = (
        earlier.filter(user=login.user_id, at__lt=login.at)
        .filter(kind=EventKind.LOGIN.value, actor="")
        .order_by("-at")
        .values_list("user_agent", flat=True)[:REMEMBERED]
    )
    known = {_device(agent) for agent in set(agents)}
    return bool(known) and _device(login.user_agent) not in known


def _device(user_agent: str) -> tuple[str, str]:
    return user_agents.browser(user_agent), user_agents.system(user_agent)
