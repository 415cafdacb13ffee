"""Steps of a login, and of proving oneself again: pages, and JSON, of one kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME, user_logged_in
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

from django_secure_sessions import answers
from django_secure_sessions.exceptions import (
    AttemptsExhausted,
    CodeRejected,
    MalformedChoice,
    MalformedCode,
    NothingPending,
    SecondFactorError,
)
from django_secure_sessions.mfa import pending

from .mfa.proofs import session_of

# What each refusal says: status, code for programs, text for people. A wrong, a
# spent and a late proof are told apart by nobody.
REFUSALS: dict[type[SecondFactorError], tuple[int, str, str | Promise]] = {
    MalformedCode: (400, "malformed_code", _("This is not a code. Please check it.")),
    CodeRejected: (
        401,
        "code_rejected",
        _("This is not right, or no longer. Please try again."),
    ),
    AttemptsExhausted: (
        429,
        "too_many_attempts",
        _("There were too many attempts. Please wait before you try again."),
    ),
    MalformedChoice: (
        400,
        "malformed_choice",
        _("This is no choice among your sessions. Please try again."),
    ),
    NothingPending: (
        400,
        "nothing_pending",
        _("Your sign-in took too long. Please start again."),
    ),
}


@method_decorator(
    [never_cache, xframe_options_deny, csrf_protect, sensitive_post_parameters()],
    name="dispatch",
)
class Step(View):
    """Ask for something, take it, and lead back to what was wanted."""

    def page(self, user: Any, error: SecondFactorError | None = None) -> HttpResponse:
        """Return the page that asks ``user``, after ``error`` once more."""
        raise NotImplementedError

    def nobody(self) -> HttpResponse:
        """Answer a page request that has nobody to ask."""
        raise NotImplementedError

    def done(self, user: Any, sent: Mapping[str, Any]) -> HttpResponse:
        url = self.next_url(sent)
        if answers.prefers_json(self.request):
            level = session_of(self.request).aal
            return JsonResponse({"authenticated": True, "aal": level, "next": url})
        return HttpResponseRedirect(url)

    def next_url(self, sent: Mapping[str, Any]) -> str:
        asked = sent.get(REDIRECT_FIELD_NAME) or self.request.GET.get(
            REDIRECT_FIELD_NAME
        )
        return answers.safe_next(self.request, asked) or resolve_url(
            settings.LOGIN_REDIRECT_URL
        )

    def refuse(self, error: SecondFactorError, user: Any = None) -> HttpResponse:
        if answers.prefers_json(self.request):
            status, code, text = refusal_of(error)
            return with_wait(answers.refusal(status, code, text), error)
        if isinstance(error, NothingPending):
            return self.nobody()
        return self.page(user, error)


class LoginStep(Step):
    """A step between password and session: it finishes the login, or leads on."""

    # The half-done login, and its user.
    finished: tuple[pending.Pending, Any]

    def nobody(self) -> HttpResponse:
        session, home = session_of(self.request), self.next_url({})
        # Signed in meanwhile, in another tab? Else there is a login to start again.
        if self.request.user.is_authenticated:
            return HttpResponseRedirect(home)
        if pending.waits_for(session, timezone.now()):
            return answers.login_pending(self.request, home)
        return HttpResponseRedirect(resolve_url(settings.LOGIN_URL))

    def done(self, user: Any, sent: Mapping[str, Any]) -> HttpResponse:
        half, user = self.finished
        if not session_of(self.request).is_new_login:
            return answers.login_pending(self.request, self.next_url(sent))
        self.request.user = user
        rotate_token(self.request)
        if not half.announced:
            user_logged_in.send(sender=type(user), request=self.request, user=user)
        return super().done(user, sent)


def refusal_of(error: SecondFactorError) -> tuple[int, str, str | Promise]:
    """Return status, code and text of a refusal."""
    if getattr(error, "retry_at", error) is None:
        return (
            429,
            "too_many_attempts",
            _("There were too many attempts. Please ask an administrator for help."),
        )
    return REFUSALS[type(error)]


def with_wait(response: HttpResponse, error: SecondFactorError | None) -> HttpResponse:
    """Return the response, with the time to wait where waiting helps."""
    if isinstance(error, AttemptsExhausted) and error.retry_at is not None:
        seconds = int((error.retry_at - timezone.now()).total_seconds()) + 1
        response["Retry-After"] = str(max(seconds, 1))
    return response
