"""A user's own factors: see, add, name and remove them; replace recovery codes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from django_secure_sessions import answers
from django_secure_sessions.backends.owning import Proof
from django_secure_sessions.client import identify
from django_secure_sessions.decorators import (
    aal_required,
    recent_auth_required,
    session_required,
)
from django_secure_sessions.devices import device_label
from django_secure_sessions.exceptions import CodeRejected, MalformedCode
from django_secure_sessions.mfa import changes, devices, factors, recovery, totp
from django_secure_sessions.models import Authenticator
from django_secure_sessions.state import ENROLMENT

from . import proofs

ENROLMENT_KEY = "_secure_sessions_enrolment"
# How long a secret waits for the code that confirms it.
ENROLMENT_AGE = timedelta(minutes=15)
OVERVIEW = "secure_sessions:mfa"

ViewFunction = Callable[..., Any]


def guarded(view: ViewFunction) -> ViewFunction:
    """Keep a page out of caches, frames and other sites' forms."""
    return never_cache(xframe_options_deny(csrf_protect(view)))


def changing(view: ViewFunction) -> ViewFunction:
    """
    Guard a view that changes factors.

    It takes a recent proof, and the second factor of whoever has one: neither a
    stolen session nor a password alone may add or remove anything (SP 800-63B-4,
    4.1.2.1). What the user has is asked of the database, not of the session.
    """
    with_factor = aal_required(2)(recent_auth_required()(view))
    without = recent_auth_required()(view)

    @wraps(view)
    def ask(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        has_factor = factors.has_factor(request.user.pk)
        chosen = with_factor if has_factor else without
        response: HttpResponse = chosen(request, *args, **kwargs)
        return response

    checked = guarded(session_required(ask))
    setattr(checked, ENROLMENT, True)
    return checked


def adding(kind: Authenticator.Type) -> Callable[[ViewFunction], ViewFunction]:
    """Guard a view that adds a kind of factor: 404 where its packages are absent."""

    def decorate(view: ViewFunction) -> ViewFunction:
        @wraps(view)
        def ask(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not factors.can_be_added(kind):
                raise Http404(f"The packages that {kind.label} takes are absent.")
            response: HttpResponse = view(request, *args, **kwargs)
            return response

        return changing(ask)

    return decorate


def sent_from_overview(view: ViewFunction) -> ViewFunction:
    """
    Guard a view whose form is on the overview: only a POST reaches it.

    A login or a step-up sends its visitor on to what was refused, as a GET: then
    the overview is the place to be.
    """

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "POST":
            return redirect(OVERVIEW)
        response: HttpResponse = view(request, *args, **kwargs)
        return response

    return require_http_methods(["GET", "HEAD", "POST"])(inner)


@guarded
@session_required
def overview(request: HttpRequest) -> HttpResponse:
    """Show the factors of the signed-in user."""
    now, user_id = timezone.now(), request.user.pk
    token = request.COOKIES.get(devices.COOKIE)
    found = list(
        factors.factors_of(user_id)
        .filter(type__in=factors.SECOND)
        .order_by("created_at")
        .defer("secret")
    )
    context = {
        "authenticators": found,
        "is_disabled": any(factor.disabled_at for factor in found),
        "recovery_left": recovery.remaining(user_id),
        "recovery_count": recovery.COUNT,
        "trusted_devices": [
            {
                "id": device.pk,
                "label": device_label(device.user_agent),
                "is_current": devices.is_of(device, token),
                "created_at": device.created_at,
                "last_used_at": device.last_used_at,
                "expires_at": device.expires_at,
            }
            for device in devices.devices_of(user_id, now)
        ],
        "offers_apps": factors.can_be_added(Authenticator.Type.TOTP),
        "offers_keys": factors.can_be_added(Authenticator.Type.WEBAUTHN),
        "offers_trust": devices.age_limit() is not None,
    }
    if answers.prefers_json(request):
        return JsonResponse({**context, "authenticators": [_plain(f) for f in found]})
    return render(request, "secure_sessions/mfa/overview.html", context)


setattr(overview, ENROLMENT, True)


@method_decorator(sensitive_post_parameters("code"), name="dispatch")
class AddAppView(View):
    """Show a new secret, and make it a factor once a code proves it arrived."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._page(request, self._enrolment(request))

    def post(self, request: HttpRequest) -> HttpResponse:
        enrolment = self._enrolment(request)
        try:
            sent = proofs.body(request)
            code, name = totp.parse(sent.get("code")), str(sent.get("name", ""))
            factor = totp.confirm(request.user, enrolment, code, name, timezone.now())
        except MalformedCode:
            return self._page(request, enrolment, "malformed")
        except CodeRejected:
            return self._page(request, enrolment, "rejected")
        request.session.pop(ENROLMENT_KEY, None)
        return enrolled(request, factor, "otp")

    def _enrolment(self, request: HttpRequest) -> totp.Enrolment:
        now, kept = timezone.now().timestamp(), request.session.get(ENROLMENT_KEY)
        if isinstance(kept, dict) and 0 <= now - kept["at"] < (
            ENROLMENT_AGE.total_seconds()
        ):
            return totp.Enrolment(kept["id"], kept["secret"])
        enrolment = totp.new_enrolment()
        request.session[ENROLMENT_KEY] = {**enrolment._asdict(), "at": now}
        return enrolment

    def _page(
        self, request: HttpRequest, enrolment: totp.Enrolment, error: str = ""
    ) -> HttpResponse:
        import segno

        account, site = request.user.get_username(), proofs.party(request).name
        uri = totp.provisioning_uri(enrolment.secret, account, site)
        if answers.prefers_json(request):
            if error:
                return answers.refusal(400, f"code_{error}", _("Check the code."))
            return JsonResponse({"secret": enrolment.secret, "uri": uri})
        picture = segno.make(uri, error="m").svg_inline(
            border=4, omitsize=True, light="#fff", svgclass="qr", lineclass=None
        )
        spelled = " ".join(
            enrolment.secret[start : start + 4]
            for start in range(0, len(enrolment.secret), 4)
        )
        context = {
            "error": error,
            "qr": picture,
            "secret": spelled,
            "uri": uri,
            "name": request.POST.get("name", ""),
            "next": _next(request),
            "next_name": REDIRECT_FIELD_NAME,
            "unsent": answers.UNSENT_PARAMETER in request.GET,
        }
        return render(
            request,
            "secure_sessions/mfa/add_app.html",
            context,
            status=400 if error else 200,
        )


add_app = adding(Authenticator.Type.TOTP)(AddAppView.as_view())


def enrolled(request: HttpRequest, factor: Authenticator, method: str) -> HttpResponse:
    """
    Raise the session to what was just shown, and lead on.

    Whoever had no recovery codes gets them now, on this one page.
    """
    session, now = proofs.session_of(request), timezone.now()
    words = [word for word in session.amr if word != devices.METHOD]
    session.elevate(Proof(2, " ".join(dict.fromkeys([*words, method]))))
    codes = changes.added(
        request.user,
        factor,
        keep=session.public_id,
        now=now,
        client=identify(request),
    )
    if codes or answers.prefers_json(request):
        return _show_codes(request, codes, _next(request))
    return redirect(_next(request) or OVERVIEW)


@changing
@sent_from_overview
def rename(request: HttpRequest, factor_id: UUID) -> HttpResponse:
    """Name one of the user's factors."""
    try:
        name = str(proofs.body(request).get("name", ""))
    except MalformedCode:
        name = ""
    if not changes.renamed(
        request.user,
        factor_id,
        name,
        session_id=proofs.session_of(request).public_id,
        now=timezone.now(),
        client=identify(request),
    ):
        raise Http404
    return _done(request)


@changing
@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, factor_id: UUID) -> HttpResponse:
    """Ask, and then take one of the user's factors away."""
    own = factors.factors_of(request.user.pk).filter(type__in=factors.SECOND)
    factor = get_object_or_404(own.defer("secret"), pk=factor_id)
    if request.method == "POST":
        changes.removed(
            request.user,
            factor_id,
            keep=proofs.session_of(request).public_id,
            now=timezone.now(),
            client=identify(request),
        )
        return _done(request)
    context = {"authenticator": factor, "is_last": own.count() == 1}
    return render(request, "secure_sessions/mfa/remove.html", context)


@changing
@require_http_methods(["GET", "POST"])
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Ask, and then replace the recovery codes; show the new ones once."""
    if not factors.has_factor(request.user.pk):
        return redirect(OVERVIEW)
    if request.method == "POST":
        codes = changes.regenerated(
            request.user,
            session_id=proofs.session_of(request).public_id,
            now=timezone.now(),
            client=identify(request),
        )
        return _show_codes(request, codes, "")
    context = {"recovery_left": recovery.remaining(request.user.pk)}
    return render(request, "secure_sessions/mfa/recovery.html", context)


@guarded
@session_required
@sent_from_overview
def forget_device(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Trust one of the user's browsers no more. Takes no proof: it opens nothing."""
    client, now = identify(request), timezone.now()
    if not devices.forget(request.user, device_id, client=client, now=now):
        raise Http404
    return _done(request)


def _done(request: HttpRequest) -> HttpResponse:
    if answers.prefers_json(request):
        return JsonResponse({"done": True})
    return redirect(OVERVIEW)


def _plain(factor: Authenticator) -> dict[str, Any]:
    return {
        "id": factor.pk,
        "type": factor.type,
        "name": factor.name,
        "created_at": factor.created_at,
        "last_used_at": factor.last_used_at,
    }


def _show_codes(request: HttpRequest, codes: list[str], next_url: str) -> HttpResponse:
    if answers.prefers_json(request):
        return JsonResponse({"recovery_codes": codes})
    site = proofs.party(request).name
    text = "\n".join([f"{site}: {request.user.get_username()}", "", *codes, ""])
    context = {
        "codes": codes,
        "site": site,
        "download": f"data:text/plain;charset=utf-8,{quote(text)}",
        "next": next_url,
    }
    return render(request, "secure_sessions/mfa/recovery_codes.html", context)


def _next(request: HttpRequest) -> str:
    asked = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(
        REDIRECT_FIELD_NAME
    )
    return answers.safe_next(request, asked)
