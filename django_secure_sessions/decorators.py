"""Who may enter a view: for functions, classes (the mixins) and async views alike."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial, wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse

from . import answers
from .conf import conf
from .mfa import demands
from .state import PASSIVE

View = TypeVar("View", bound=Callable[..., Any])

# Whoever has this role has every role.
ADMIN = "admin"


def passive(view: View) -> View:
    """
    Mark a view whose requests are checked but do not count as activity.

    For polling: without it a forgotten tab keeps its session alive for ever.
    """
    setattr(view, PASSIVE, True)
    return view


def session_required(view: View) -> View:
    """Let in whoever is signed in; others get 401 JSON or the login page."""
    gate: View = _gated(view, _is_async(view))
    return gate


def role_required(*roles: str) -> Callable[[View], View]:
    """
    Let in whoever has one of ``roles``; ``admin`` has every role.

    Nobody signed in: as ``session_required``. Another role: 403, JSON or a page.
    Roles come from the function that ``SECURE_SESSIONS["ROLES"]`` names. Raise
    ``ValueError`` without a role: that would let nobody, or everybody, in.
    """
    if not roles:
        raise ValueError("role_required() needs at least one role")

    def decorate(view: View) -> View:
        gate: View = _gated(view, _is_async(view), roles)
        return gate

    return decorate


def aal_required(level: int = 2) -> Callable[[View], View]:
    """
    Let in sessions of this assurance level (SP 800-63B): 2 is a second factor.

    A session below it is sent to show the second factor, or to set one up, and then
    back here. JSON clients get 403 ``mfa_required`` or ``mfa_enrolment_required``.
    Whoever acts as the user can't get there: 403 ``permission_denied``.
    """

    def decorate(view: View) -> View:
        refuse = partial(_below, level=level)
        gate: View = _asked(view, _is_async(view), refuse)
        return gate

    return decorate


def recent_auth_required(*, minutes: float | None = None) -> Callable[[View], View]:
    """
    Let in whoever showed in the last ``minutes`` who they are.

    Others are asked once more and then sent back here. JSON clients get 403
    ``reauthentication_required``. By default ``SECURE_SESSIONS["RECENT_AUTH"]``. A
    code that was skipped on a trusted device was not shown, and whoever acts as the
    user has shown nothing: 403 ``permission_denied``.
    """

    def decorate(view: View) -> View:
        refuse = partial(_stale, minutes=minutes)
        gate: View = _asked(view, _is_async(view), refuse)
        return gate

    return decorate


class SessionRequiredMixin:
    """``session_required`` for class-based views. Comes before the view's class."""

    required_roles: tuple[str, ...] = ()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = super().dispatch  # type: ignore[misc]
        is_async = self.view_is_async  # type: ignore[attr-defined]
        return _gated(view, is_async, self.required_roles)(request, *args, **kwargs)


class RoleRequiredMixin(SessionRequiredMixin):
    """``role_required`` for class-based views: set ``required_roles``."""

    required_roles: tuple[str, ...] = (ADMIN,)


class AALRequiredMixin:
    """``aal_required`` for class-based views: set ``required_aal``."""

    required_aal = 2

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = super().dispatch  # type: ignore[misc]
        is_async = self.view_is_async  # type: ignore[attr-defined]
        refuse = partial(_below, level=self.required_aal)
        return _asked(view, is_async, refuse)(request, *args, **kwargs)


class RecentAuthRequiredMixin:
    """``recent_auth_required`` for class-based views: set ``recent_minutes``."""

    recent_minutes: float | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = super().dispatch  # type: ignore[misc]
        is_async = self.view_is_async  # type: ignore[attr-defined]
        refuse = partial(_stale, minutes=self.recent_minutes)
        return _asked(view, is_async, refuse)(request, *args, **kwargs)


def _is_async(view: Any) -> bool:
    """
    Whether calling a view gives something to await.

    asgiref knows what ``as_view`` marked, on every Python. The bound ``dispatch``
    that ``method_decorator`` hands over bears no mark, whatever its class says.
    """
    if iscoroutinefunction(view):
        return True
    while isinstance(view, partial):
        view = view.func
    owner = getattr(view, "__self__", None)
    is_dispatch = getattr(view, "__name__", "") == "dispatch"
    return is_dispatch and bool(getattr(owner, "view_is_async", False))


def _gated(view: Any, is_async: bool, roles: Collection[str] = ()) -> Any:
    if is_async:

        @wraps(view)
        async def agate(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            user = await request.auser()
            found = await sync_to_async(_roles)(user) if roles else ()
            if _admits(user, roles, found):
                return await view(request, *args, **kwargs)
            # In a thread: a page may ask the database, if only for the user's name.
            return await sync_to_async(_refusal)(request, user)

        return agate

    @wraps(view)
    def gate(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        found = _roles(request.user) if roles else ()
        if _admits(request.user, roles, found):
            return view(request, *args, **kwargs)
        return _refusal(request, request.user)

    return gate


def _roles(user: Any) -> Collection[str]:
    return conf.roles(user) if user.is_authenticated else ()


def _admits(user: Any, wanted: Collection[str], found: Collection[str]) -> bool:
    if not user.is_authenticated:
        return False
    return not wanted or ADMIN in found or bool(set(wanted) & set(found))


def _refusal(request: HttpRequest, user: Any) -> HttpResponse:
    if user.is_authenticated:
        return answers.permission_denied(request)
    return answers.authentication_required(request)


def _asked(
    view: Any,
    is_async: bool,
    refuse: Callable[[HttpRequest, Any], HttpResponse | None],
) -> Any:
    """Wrap a view in a question that may need the database."""
    if is_async:

        @wraps(view)
        async def agate(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            user = await request.auser()
            answer = await sync_to_async(refuse)(request, user)
            if answer is not None:
                return answer
            return await view(request, *args, **kwargs)

        return agate

    @wraps(view)
    def gate(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        answer = refuse(request, request.user)
        return view(request, *args, **kwargs) if answer is None else answer

    return gate


def _below(request: HttpRequest, user: Any, level: int) -> HttpResponse | None:
    if not user.is_authenticated:
        return answers.authentication_required(request)
    lack = demands.below(request.session, user, level)
    return None if lack is None else answers.demanded(request, lack)


def _stale(
    request: HttpRequest, user: Any, minutes: float | None
) -> HttpResponse | None:
    if not user.is_authenticated:
        return answers.authentication_required(request)
    lack = demands.stale(request.session, minutes)
    return None if lack is None else answers.demanded(request, lack)
