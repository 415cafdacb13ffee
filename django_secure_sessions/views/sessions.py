"""Where am I signed in? A person sees the own sessions, and ends what is not theirs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from django_secure_sessions import answers, lifecycle, overview
from django_secure_sessions.client import identify
from django_secure_sessions.decorators import session_required
from django_secure_sessions.devices import device_label
from django_secure_sessions.forms import ConfirmIdentityForm
from django_secure_sessions.mfa import demands
from django_secure_sessions.models import Session
from django_secure_sessions.state import Demand

LIST = "secure_sessions:session_list"
View = Callable[..., HttpResponse]


def _guarded(view: View) -> View:
    """Keep a page out of caches, frames and other people's hands."""
    guarded = csrf_protect(session_required(view))
    return never_cache(xframe_options_deny(guarded))


def _ending(view: View) -> View:
    """
    Guard a view that ends something: only a POST reaches it.

    A login sends its visitor on to the page that was refused, as a GET: then the
    list is the place to be.
    """

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "POST":
            return redirect(LIST)
        return view(request, *args, **kwargs)

    methods = require_http_methods(["GET", "HEAD", "POST"])
    return _guarded(methods(sensitive_post_parameters("password", "code")(inner)))


@_guarded
@require_safe
def session_list(request: HttpRequest) -> HttpResponse:
    """Show the live sessions of the signed-in user, and what happened lately."""
    now, session = timezone.now(), _session(request)
    context = {
        "sessions": overview.own_sessions(request.user, session.public_id, now),
        "events": overview.recent_events(request.user),
    }
    return render(request, "secure_sessions/session_list.html", context)


@_ending
def end_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """End one of the user's sessions. Ending the current one is signing out."""
    mine = Session.objects.for_user(request.user).only("user_agent")
    owned = get_object_or_404(mine, pk=session_id)
    if session_id == _session(request).public_id:
        logout(request)
        messages.success(request, _("You are signed out."), fail_silently=True)
        return redirect(resolve_url(settings.LOGOUT_REDIRECT_URL or settings.LOGIN_URL))
    refusal = _unless_fresh(request, owned)
    if refusal is not None:
        return refusal
    lifecycle.end(session_id, actor=_actor(request), client=identify(request))
    messages.success(request, _("The session was ended."), fail_silently=True)
    return redirect(LIST)


@_ending
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """End all of the user's sessions but this one."""
    refusal = _unless_fresh(request)
    if refusal is not None:
        return refusal
    count = lifecycle.end_others(
        request.user,
        _session(request).public_id,
        actor=_actor(request),
        client=identify(request),
    )
    text = ngettext("%d session was ended.", "%d sessions were ended.", count) % count
    messages.success(request, text, fail_silently=True)
    return redirect(LIST)


def _unless_fresh(
    request: HttpRequest, target: Session | None = None
) -> HttpResponse | None:
    """
    Return the page that asks who is there, unless it was proven a moment ago.

    Whoever found this browser open must not lock its owner out everywhere else
    (ASVS 7.5.2). The page sends the proof to where the request went.
    """
    session = _session(request)
    lack = demands.stale(session)
    if lack is None:
        return None
    if lack is Demand.OWN_SESSION:
        return answers.demanded(request, lack)
    has_proof = any(name in request.POST for name in ConfirmIdentityForm.base_fields)
    form = ConfirmIdentityForm(
        request.POST if has_proof else None,
        session=session,
        user=request.user,
        client=identify(request),
    )
    if form.is_valid():
        return None
    context = {
        "form": form,
        "target": target,
        "device": device_label(target.user_agent) if target else "",
    }
    return render(request, "secure_sessions/session_confirm_end.html", context)


def _session(request: HttpRequest) -> Any:
    return request.session


def _actor(request: HttpRequest) -> str:
    return str(request.user.get_username())
