"""
The one place that turns a refusal into a response.

A client that prefers JSON gets ``{"error": code, "reason": ..., "detail": ...}``,
a browser a page or a redirect to the login with the reason in the query: a cookie
or a message would need a session, which an ended one no longer is.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.functional import Promise
from django.utils.http import (
    escape_leading_slashes,
    url_has_allowed_host_and_scheme,
)
from django.utils.translation import gettext_lazy as _

from . import overview
from .conf import conf
from .exceptions import NothingPending
from .mfa import pending, room
from .state import SPEAKS_JSON, Demand, EndReason

ENDED_PARAMETER = "session_ended"
# On the way to a proof: what was sent was not taken, and has to be sent again.
UNSENT_PARAMETER = "unsent"
# Where somebody who finds no room chooses which sessions end.
CHOICE = "secure_sessions:choose_sessions"
# An Accept header is read up to here, so that a hostile one costs nothing.
ACCEPT_READ = 512

_ENDED = _("Your session has ended. Please sign in again.")
ENDED_TEXTS: dict[str, str | Promise] = {
    EndReason.IDLE.value: _("You were signed out because you were inactive."),
    EndReason.ABSOLUTE.value: _(
        "You were signed out because you had been signed in for a long time."
    ),
    EndReason.EXPIRED.value: _("Your session has expired. Please sign in again."),
    EndReason.EVICTED.value: _(
        "You were signed out because you signed in on another device."
    ),
    EndReason.REVOKED.value: _("This session was signed out from another place."),
    EndReason.PASSWORD_CHANGED.value: _(
        "You were signed out because your password was changed."
    ),
    EndReason.USER_DEACTIVATED.value: _("This account has been deactivated."),
    EndReason.BINDING.value: _(
        "You were signed out because your connection or browser changed."
    ),
    EndReason.MFA_RESET.value: _(
        "You were signed out because your second factor was reset."
    ),
    EndReason.MFA_CHANGED.value: _(
        "You were signed out because your second factor was changed."
    ),
}


# What a session may lack: the words, and the page that mends it.
_DEMANDS: dict[Demand, tuple[str | Promise, str]] = {
    Demand.FACTOR: (
        _("Confirm with your second factor that it is you."),
        "mfa_step_up",
    ),
    Demand.ENROLMENT: (_("Set up a second factor first."), "mfa_totp_add"),
    Demand.RECENT: (_("Confirm that it is you."), "mfa_step_up"),
    Demand.OWN_SESSION: (
        _("This is not possible while you act as somebody else."),
        "",
    ),
}


def ended_text(reason: str) -> str:
    """Return what to tell the person behind an ended session, translated."""
    return str(ENDED_TEXTS.get(reason, _ENDED))


def prefers_json(request: HttpRequest) -> bool:
    """
    Whether the client is a program that wants JSON rather than a page.

    By path (``API_PREFIXES``), by the view, by a JSON body, or by an ``Accept`` header
    that names JSON and not HTML. Bounded work whatever the header holds
    (CVE-2026-84429).
    """
    match = request.resolver_match
    if match is not None and getattr(match.func, SPEAKS_JSON, False):
        return True
    if request.path_info.startswith(conf.api_prefixes or ("\0",)):
        return True
    if request.content_type == "application/json":
        return True
    accept = request.META.get("HTTP_ACCEPT", "")[:ACCEPT_READ].lower()
    return "json" in accept and "text/html" not in accept


def reaches_a_person(request: HttpRequest) -> bool:
    """
    Whether somebody will see the answer: it is a page that a browser went to.

    Not what a script of a page asked for, as browsers say in ``Sec-Fetch-Mode`` (W3C
    Fetch Metadata).
    """
    mode = request.META.get("HTTP_SEC_FETCH_MODE", "navigate")
    return mode == "navigate" and not prefers_json(request)


def refusal(
    status: int, error: str, detail: str | Promise, *, reason: str = "", **extra: Any
) -> JsonResponse:
    """Return the JSON answer of a refusal."""
    body = {"error": error, "reason": reason, "detail": str(detail), **extra}
    response = JsonResponse(body, status=status)
    add_never_cache_headers(response)
    return response


def authentication_required(request: HttpRequest) -> HttpResponse:
    """
    Nobody is signed in: 401, or the login page and back here.

    To whoever has given the password already: what the login waits for, and back here.
    """
    if pending.waits_for(request.session, timezone.now()):
        return login_pending(request, request.get_full_path())
    if prefers_json(request):
        return _nobody()
    return to_login(request)


def _nobody() -> JsonResponse:
    detail = _("Authentication is required.")
    return refusal(401, "authentication_required", detail)


def permission_denied(request: HttpRequest) -> HttpResponse:
    """Somebody is signed in but may not do this."""
    detail = _("You don't have permission to do this.")
    if prefers_json(request):
        return refusal(403, "permission_denied", detail)
    return _page(request, 403, "permission_denied", detail)


def login_pending(request: HttpRequest, back: object) -> HttpResponse:
    """
    The password was right; the second factor has yet to be shown, or room be made.

    ``back`` is where to go then; an address of another site counts for nothing.
    """
    if pending.waits_for(request.session, timezone.now()) == pending.ROOM:
        return _choice_due(request, back)
    url = reverse("secure_sessions:mfa_verify")
    if prefers_json(request):
        detail = _("Enter the code of your second factor.")
        return refusal(401, "mfa_required", detail, url=url)
    return HttpResponseRedirect(_with_next(url, safe_next(request, back)))


def has_choice_page() -> bool:
    """Whether the site includes the page that a login can wait for room at."""
    try:
        return bool(reverse(CHOICE))
    except NoReverseMatch:
        return False


def _choice_due(request: HttpRequest, back: object) -> HttpResponse:
    url, now = reverse(CHOICE), timezone.now()
    if not prefers_json(request):
        return HttpResponseRedirect(_with_next(url, safe_next(request, back)))
    try:
        _half, user = room.find(request.session, now)  # type: ignore[arg-type]
    except NothingPending:
        return _nobody()
    detail = _(
        "You are signed in on as many devices as allowed. Choose which to sign out."
    )
    asked = overview.choice(user, now).as_json()
    return refusal(409, "session_limit_reached", detail, url=url, **asked)


def demanded(request: HttpRequest, lack: Demand) -> HttpResponse:
    """Somebody is signed in whose session lacks what the view demands."""
    body = demand_body(lack)
    if prefers_json(request):
        return refusal(403, **body)
    if lack is Demand.OWN_SESSION:
        return _page(request, 403, body["error"], body["detail"])
    return _detour(request, body["url"])


def demand_body(lack: Demand) -> dict[str, str]:
    """Return the JSON that tells a program what its session lacks, and where to go."""
    detail, view = _DEMANDS[lack]
    body = {"error": lack.value, "reason": "", "detail": str(detail)}
    if view:
        return {**body, "url": reverse(f"secure_sessions:{view}")}
    return {**body, "reason": "impersonation"}


def session_ended(request: HttpRequest, reason: str) -> HttpResponse:
    """The session ended: by time (``session_expired``) or otherwise."""
    if prefers_json(request):
        expired = reason in (EndReason.IDLE, EndReason.ABSOLUTE, EndReason.EXPIRED)
        error = "session_expired" if expired else "session_ended"
        return refusal(401, error, ended_text(reason), reason=reason)
    return to_login(request, reason)


def limit_reached(
    request: HttpRequest, limit: int, retry_at: datetime | None
) -> HttpResponse:
    """The user may not have another session now (strategy ``reject``)."""
    detail = _(
        "You are signed in on as many devices as allowed. Sign out on one of them, "
        "or wait until one of those sessions ends, and try again."
    )
    response: HttpResponse
    if prefers_json(request):
        response = refusal(403, "session_limit_reached", detail, limit=limit)
    else:
        response = _page(request, 403, "session_limit_reached", detail, limit=limit)
    if retry_at is not None:
        seconds = int((retry_at - timezone.now()).total_seconds()) + 1
        response["Retry-After"] = str(max(seconds, 1))
    return response


def unavailable(request: HttpRequest) -> HttpResponse:
    """The session store does not answer. Nobody is signed out for that."""
    detail = _("The service is not available right now. Please try again.")
    if prefers_json(request):
        response: HttpResponse = refusal(503, "unavailable", detail)
    else:
        response = HttpResponse(str(detail), status=503, content_type="text/plain")
        add_never_cache_headers(response)
    response["Retry-After"] = "5"
    return response


def explain(
    request: HttpRequest, response: HttpResponseBase, reason: str
) -> HttpResponse | None:
    """
    Return a denial with the reason the session ended, ``None`` for no denial.

    An ended session only makes a request anonymous: public pages stay what they
    are, and just a refused request is told why.
    """
    location = response.get("Location", "")
    to_login_page = 300 <= response.status_code < 400 and _is_login(location)
    if not to_login_page and response.status_code not in (401, 403):
        return None
    if to_login_page and not prefers_json(request):
        return HttpResponseRedirect(_with_reason(location, reason))
    return session_ended(request, reason)


def to_login(request: HttpRequest, reason: str = "") -> HttpResponseRedirect:
    """Redirect to the login page and, after it, back to this request's page."""
    url = resolve_url(settings.LOGIN_URL)
    # Escaped, since a path like //elsewhere is a whole address to a careless reader.
    here = _form_of(request) or escape_leading_slashes(request.get_full_path())
    query = urlencode({REDIRECT_FIELD_NAME: here}, safe="/")
    url += ("&" if "?" in url else "?") + query
    return HttpResponseRedirect(_with_reason(url, reason) if reason else url)


def safe_next(request: HttpRequest, url: object) -> str:
    """Return ``url`` if it leads to this site, else ``""``. For every use of one."""
    if isinstance(url, str) and url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return url
    return ""


def _detour(request: HttpRequest, url: str) -> HttpResponse:
    """Send somebody to prove more, and from there back to what was interrupted."""
    if request.method in ("GET", "HEAD"):
        return HttpResponseRedirect(_with_next(url, request.get_full_path()))
    query = {UNSENT_PARAMETER: "1"}
    return HttpResponseRedirect(_with_next(url, _form_of(request), **query))


def _form_of(request: HttpRequest) -> str:
    """
    Return the page that a refused POST was sent from, ``""`` where that is unknown.

    What was sent is lost, and the address it was sent to may have no page: whoever
    comes back goes to the form, to send it again.
    """
    if request.method in ("GET", "HEAD"):
        return ""
    return safe_next(request, request.headers.get("Referer"))


def _with_next(url: str, back: str, **more: str) -> str:
    asked = {REDIRECT_FIELD_NAME: back} if back else {}
    query = urlencode({**asked, **more}, safe="/")
    return f"{url}?{query}" if query else url


def _page(
    request: HttpRequest, status: int, error: str, detail: str | Promise, **extra: Any
) -> HttpResponse:
    context = {
        "error": error,
        "detail": detail,
        "login_url": resolve_url(settings.LOGIN_URL),
        "start_url": resolve_url(settings.LOGIN_REDIRECT_URL),
        **extra,
    }
    response = render(request, "secure_sessions/refused.html", context, status=status)
    add_never_cache_headers(response)
    return response


def _is_login(location: str) -> bool:
    pages = {urlsplit(resolve_url(settings.LOGIN_URL)).path}
    with suppress(NoReverseMatch):
        pages.add(reverse("admin:login"))
    return urlsplit(location).path in pages


def _with_reason(url: str, reason: str) -> str:
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), (ENDED_PARAMETER, reason)]
    return urlunsplit(parts._replace(query=urlencode(query, safe="/")))
