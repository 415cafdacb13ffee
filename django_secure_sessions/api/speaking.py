"""How every view of the API is guarded, reads its body and refuses: in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.decorators import decorator_from_middleware
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters

from django_secure_sessions.answers import refusal
from django_secure_sessions.decorators import session_required
from django_secure_sessions.state import SPEAKS_JSON

View = Callable[..., HttpResponse]

# Bytes. What the API takes is a password or a code.
LONGEST_BODY = 16_384


class Malformed(ValueError):
    """The body is not what this API takes."""


class _CsrfInJson(CsrfViewMiddleware):
    """Django's own check; only its refusal is in JSON, with a status to act on."""

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        super()._reject(request, reason)  # type: ignore[misc]  # logs it
        return refusal(403, "csrf_failed", _("The CSRF token is missing or wrong."))


_csrf_checked = decorator_from_middleware(_CsrfInJson)


def json_view(*methods: str) -> Callable[[View], View]:
    """Guard a view for ``methods``: session, CSRF, no caching, errors in JSON."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                response = refusal(405, "method_not_allowed", _("Not possible here."))
                response["Allow"] = ", ".join(methods)
                return response
            try:
                return view(request, *args, **kwargs)
            except Http404:
                return refusal(404, "not_found", _("There is no such thing here."))
            except Malformed:
                return refusal(400, "malformed", _("The request can't be read."))

        guarded: Any = _csrf_checked(
            session_required(sensitive_post_parameters("password", "code")(answered))
        )
        # Exempt from the check of the middleware, which would refuse with a page
        # before ours, the same one, had its say.
        guarded = csrf_exempt(never_cache(guarded))
        setattr(guarded, SPEAKS_JSON, True)
        found: View = guarded
        return found

    return decorate


def answer(data: dict[str, Any]) -> JsonResponse:
    return JsonResponse(data)


def fields_of(request: HttpRequest, *names: str) -> dict[str, str]:
    """
    Return the named texts of the body, JSON or a form; others are ignored.

    Raise ``Malformed`` for a body that is neither, or a value that is no text.
    """
    if request.content_type != "application/json":
        return {name: request.POST[name] for name in names if name in request.POST}
    if len(request.body) > LONGEST_BODY:
        raise Malformed
    try:
        found = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise Malformed from error
    if not isinstance(found, dict):
        raise Malformed
    texts = {name: found[name] for name in names if name in found}
    if not all(isinstance(text, str) for text in texts.values()):
        raise Malformed
    return texts
