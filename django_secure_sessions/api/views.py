"""Sessions in JSON: list them, end them, ask how long this one has, keep it alive."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import logout
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _

from django_secure_sessions import answers, lifecycle, overview
from django_secure_sessions.answers import refusal
from django_secure_sessions.client import identify
from django_secure_sessions.decorators import passive
from django_secure_sessions.forms import ConfirmIdentityForm
from django_secure_sessions.mfa import demands
from django_secure_sessions.models import Session
from django_secure_sessions.state import Demand

from .speaking import answer, fields_of, json_view


@json_view("GET", "HEAD")
def sessions(request: HttpRequest) -> HttpResponse:
    """List the live sessions of the signed-in user, the current one first."""
    now, current = timezone.now(), _session(request).public_id
    found = overview.own_sessions(request.user, current, now)
    return answer({"sessions": [session.as_json() for session in found]})


@json_view("POST", "DELETE")
def end_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """End one of the user's sessions. Ending the current one is signing out."""
    mine = Session.objects.for_user(request.user).only("pk")
    get_object_or_404(mine, pk=session_id)
    if session_id == _session(request).public_id:
        logout(request)
        return answer({"ended": 1})
    if (refused := _unless_fresh(request)) is not None:
        return refused
    ended = lifecycle.end(session_id, actor=_actor(request), client=identify(request))
    return answer({"ended": int(ended)})


@json_view("POST")
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """End all of the user's sessions but this one."""
    if (refused := _unless_fresh(request)) is not None:
        return refused
    count = lifecycle.end_others(
        request.user,
        _session(request).public_id,
        actor=_actor(request),
        client=identify(request),
    )
    return answer({"ended": count})


@json_view("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
def not_found(request: HttpRequest, elsewhere: str) -> HttpResponse:
    """Answer for an address that is none, in JSON like every other."""
    raise Http404


@passive
@json_view("GET", "HEAD")
def status(request: HttpRequest) -> HttpResponse:
    """Tell how long this session has, without giving it any longer."""
    return answer(overview.time_left(_session(request).row, timezone.now()))


@json_view("POST")
def keep_alive(request: HttpRequest) -> HttpResponse:
    """
    Count as activity, and tell how long the session has now.

    Nothing in the request says how long: the rules do. At most one write per touch
    interval follows, however often this is called.
    """
    _session(request).touch()
    return answer(overview.time_left(_session(request).row, timezone.now()))


def _unless_fresh(request: HttpRequest) -> HttpResponse | None:
    """Refuse, unless it was proven a moment ago, or is right now, who is there."""
    session, now = _session(request), timezone.now()
    # Read in any case: a body that makes no sense is refused, whoever sends it.
    shown = fields_of(request, *ConfirmIdentityForm.base_fields)
    lack = demands.stale(session)
    if lack is None:
        return None
    if lack is Demand.OWN_SESSION:
        return answers.demanded(request, lack)
    form = ConfirmIdentityForm(
        shown or None, session=session, user=request.user, client=identify(request)
    )
    if form.is_valid():
        return None
    if form.is_exhausted:
        refused = refusal(
            429, "too_many_attempts", _("Too many attempts. Please wait a while.")
        )
        if form.retry_at is not None:
            wait = int((form.retry_at - now).total_seconds()) + 1
            refused["Retry-After"] = str(max(wait, 1))
        return refused
    if form.is_bound and form.method:
        errors = [text for found in form.errors.values() for text in found]
        detail = " ".join(str(text) for text in errors)
    elif form.method:
        detail = _("Confirm that it is you.")
    else:
        detail = _("Sign out and in again first.")
    return refusal(
        403, "reauthentication_required", detail, reason=form.method or "login"
    )


def _session(request: HttpRequest) -> Any:
    return request.session


def _actor(request: HttpRequest) -> str:
    return str(request.user.get_username())
