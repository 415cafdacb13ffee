"""
Types for the signatures of views: what a request and its session carry.

::

    def account(request: SecureRequest) -> HttpResponse:
        since = request.session.authenticated_at  # datetime | None
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from .state import Ended


class SecureSession(SessionBase):
    """
    What ``request.session`` is under either engine, for annotations only.

    The engines stand above this module and can't be named here; the type tests
    hold the two to the same facts.
    """

    if TYPE_CHECKING:

        @property
        def public_id(self) -> UUID | None: ...
        @property
        def user_id(self) -> int | str | None: ...
        @property
        def role(self) -> str: ...
        @property
        def created_at(self) -> datetime | None: ...
        @property
        def authenticated_at(self) -> datetime | None: ...
        @property
        def last_activity(self) -> datetime | None: ...
        @property
        def ip_address(self) -> str | None: ...
        @property
        def aal(self) -> int: ...
        @property
        def amr(self) -> tuple[str, ...]: ...
        @property
        def ended(self) -> Ended | None: ...


class SecureRequest(HttpRequest):
    """A request that went through ``SecureSessionMiddleware``, for annotations."""

    session: SecureSession
