"""
The admin: sessions to look at and revoke, their history, the users' factors.

A site with an ``AdminSite`` of its own registers these classes there.
``SessionsLinkMixin`` is for its admin of users.
"""

from __future__ import annotations

from .events import SessionEventAdmin
from .factors import AuthenticatorAdmin
from .linking import SessionsLinkMixin
from .sessions import SessionAdmin

__all__ = [
    "AuthenticatorAdmin",
    "SessionAdmin",
    "SessionEventAdmin",
    "SessionsLinkMixin",
]
