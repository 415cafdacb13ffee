"""
Permissions for Django REST framework: what ``decorators`` ask, asked of API views.

``SessionAuthentication`` finds nobody behind a half-done login, as every view does;
``IsAuthenticated`` is enough for that. A token, or another credential that is no
session, has shown no second factor to us: these permissions refuse it.
"""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated

from django_secure_sessions import answers
from django_secure_sessions.mfa import demands
from django_secure_sessions.state import Demand


class _OfTheSession(IsAuthenticated):  # type: ignore[misc]  # no stubs
    """Someone is signed in, by a session of theirs that lacks nothing."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Return ``False`` for nobody; raise 403 with what is lacking, and where."""
        if not super().has_permission(request, view):
            return False
        if getattr(request.session, "user_id", None) != request.user.pk:
            return False
        lack = self.lack(request)
        if lack is not None:
            raise PermissionDenied(answers.demand_body(lack))
        return True

    def lack(self, request: Any) -> Demand | None:
        raise NotImplementedError


class SecondFactorRequired(_OfTheSession):
    """As ``aal_required(2)``."""

    def lack(self, request: Any) -> Demand | None:
        return demands.below(request.session, request.user, 2)


class RecentAuthRequired(_OfTheSession):
    """As ``recent_auth_required()``; ``minutes`` in a subclass sets how recent."""

    minutes: float | None = None

    def lack(self, request: Any) -> Demand | None:
        return demands.stale(request.session, self.minutes)
