"""
Somebody acts as a user, to help: whose second factor is asked for?

The actor's, before. The user's stays with the user: nobody who acts as them is asked
for it, and nothing they show raises the session they borrowed.
"""

from __future__ import annotations

from django_secure_sessions.backends.base import TrackedSession
from django_secure_sessions.conf import conf

from . import factors, pending


def admit(session: TrackedSession) -> bool:
    """
    Let a login pass that was held back in this request, if it is an impersonation.

    Only from a session of the actor's own that ended by it in this very request, and
    that has shown the actor's second factor, if the actor has one. What names the
    actor is session data that the site's own tool wrote.
    """
    detect, own = conf.impersonation, session.predecessor
    actor = detect(session) if detect is not None else None
    if not actor or own is None or own.impersonator or str(own.user_id) != str(actor):
        return False
    if own.aal < 2 and factors.has_factor(own.user_id):
        return False
    pending.resume(session)
    return True
