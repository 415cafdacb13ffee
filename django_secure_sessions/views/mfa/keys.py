"""Make a security key or passkey a factor. Needs the extra ``webauthn``."""

from __future__ import annotations

from ipaddress import ip_address

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from django_secure_sessions import answers
from django_secure_sessions.exceptions import CodeRejected, MalformedCode
from django_secure_sessions.mfa import webauthn
from django_secure_sessions.models import Authenticator

from . import proofs
from .factors import adding, enrolled

REGISTER = "register"


@adding(Authenticator.Type.WEBAUTHN)
def add_key(request: HttpRequest) -> HttpResponse:
    """Show the page that asks for a key, and take the key's answer."""
    if request.method != "POST":
        return _page(request, "")
    try:
        sent = proofs.body(request)
        answer = webauthn.parse(sent.get("credential"))
        factor = webauthn.register(
            request.user,
            answer,
            proofs.take_challenge(request, REGISTER),
            proofs.party(request),
            str(sent.get("name", "")),
            timezone.now(),
        )
    except (MalformedCode, CodeRejected):
        return _page(request, "rejected")
    return enrolled(request, factor, "hwk")


@adding(Authenticator.Type.WEBAUTHN)
@require_POST
def registration_options(request: HttpRequest) -> HttpResponse:
    """Return what the browser needs to make a key ours."""
    challenge = proofs.give_challenge(request, REGISTER)
    party = proofs.party(request)
    options = webauthn.registration_options(request.user, party, challenge)
    return JsonResponse(options)


def _page(request: HttpRequest, error: str) -> HttpResponse:
    if answers.prefers_json(request):
        if error:
            detail = _("This did not work, or the key is known here already.")
            return answers.refusal(400, "key_rejected", detail)
        return JsonResponse({"url": reverse("secure_sessions:mfa_key_challenge")})
    asked = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(
        REDIRECT_FIELD_NAME
    )
    context = {
        "error": error,
        "is_without_domain": _is_address(proofs.party(request).rp_id),
        "name": request.POST.get("name", ""),
        "next": answers.safe_next(request, asked),
        "next_name": REDIRECT_FIELD_NAME,
    }
    return render(
        request,
        "secure_sessions/mfa/add_key.html",
        context,
        status=400 if error else 200,
    )


def _is_address(name: str) -> bool:
    """Whether this names no domain, which is all that a key can be bound to."""
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
