"""Show a second factor: to finish a login, or to do something that takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME, user_logged_in
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import render, resolve_url
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
from django_secure_sessions.client import identify
from django_secure_sessions.exceptions import (
    AttemptsExhausted,
    CodeRejected,
    MalformedCode,
    NothingPending,
    SecondFactorError,
)
from django_secure_sessions.mfa import devices, factors, pending, throttle, verify
from django_secure_sessions.mfa import webauthn as keys
from django_secure_sessions.models import Authenticator
from django_secure_sessions.state import ENROLMENT, Demand

from . import proofs

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
class ProofView(View):
    """Ask for a proof and act on it. What for, and of whom, the subclasses say."""

    template_name: ClassVar[str]
    purpose: ClassVar[str]

    def subject(self) -> Any:
        """Return the user who is to prove something, or raise ``NothingPending``."""
        raise NotImplementedError

    def nobody(self) -> HttpResponse:
        """Answer a page request that has nobody to ask."""
        raise NotImplementedError

    def read(self, sent: Mapping[str, Any]) -> verify.Answer:
        return proofs.answer(self.request, sent, self.purpose)

    def finish(self, answer: verify.Answer) -> None:
        """Spend the proof on what it is for."""
        raise NotImplementedError

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            user = self.subject()
        except (NothingPending, AttemptsExhausted) as error:
            return self.refuse(error)
        if answers.prefers_json(request):
            return JsonResponse({"methods": sorted(self.methods(user))})
        return self.page(user)

    def post(self, request: HttpRequest) -> HttpResponse:
        user, sent = None, {}
        try:
            user = self.subject()
            sent = dict(proofs.body(request).items())
            self.finish(self.read(sent))
        except SecondFactorError as error:
            return self.refuse(error, user)
        return self.done(user, sent)

    def done(self, user: Any, sent: Mapping[str, Any]) -> HttpResponse:
        url = self.next_url(sent)
        if answers.prefers_json(self.request):
            level = proofs.session_of(self.request).aal
            return JsonResponse({"authenticated": True, "aal": level, "next": url})
        return HttpResponseRedirect(url)

    def next_url(self, sent: Mapping[str, Any]) -> str:
        asked = sent.get(REDIRECT_FIELD_NAME) or self.request.GET.get(
            REDIRECT_FIELD_NAME
        )
        return answers.safe_next(self.request, asked) or resolve_url(
            settings.LOGIN_REDIRECT_URL
        )

    def methods(self, user: Any) -> set[str]:
        return factors.kinds_of(user.pk)

    can_trust = False

    def refuse(self, error: SecondFactorError, user: Any = None) -> HttpResponse:
        if answers.prefers_json(self.request):
            status, code, text = _refusal(error)
            return _with_wait(answers.refusal(status, code, text), error)
        if isinstance(error, NothingPending):
            return self.nobody()
        return self.page(user, error)

    def page(self, user: Any, error: SecondFactorError | None = None) -> HttpResponse:
        sent, asked = self.request.POST, self.request.GET
        status, _code, text = _refusal(error) if error else (200, "", "")
        # Whoever has to wait is not invited to type.
        must_wait = isinstance(error, AttemptsExhausted)
        methods = set() if user is None or must_wait else self.methods(user)
        context = {
            "error": text,
            "must_wait": must_wait,
            "failed_field": "recovery_code" if sent.get("recovery_code") else "code",
            "has_app": Authenticator.Type.TOTP.value in methods,
            "has_key": Authenticator.Type.WEBAUTHN.value in methods,
            "has_recovery": Authenticator.Type.RECOVERY.value in methods,
            "asks_password": "password" in methods,
            "can_trust": self.can_trust and devices.age_limit() is not None,
            "next": answers.safe_next(
                self.request,
                sent.get(REDIRECT_FIELD_NAME) or asked.get(REDIRECT_FIELD_NAME),
            ),
            "next_name": REDIRECT_FIELD_NAME,
            "unsent": answers.UNSENT_PARAMETER in asked,
            "login_url": resolve_url(settings.LOGIN_URL),
        }
        response = render(self.request, self.template_name, context, status=status)
        return _with_wait(response, error)


class VerifyView(ProofView):
    """Between password and session: the second factor finishes the login."""

    template_name = "secure_sessions/mfa/verify.html"
    purpose = "login"
    can_trust = True
    finished: tuple[pending.Pending, Any]

    def nobody(self) -> HttpResponse:
        # Signed in meanwhile, in another tab? Else there is a login to start again.
        if self.request.user.is_authenticated:
            return HttpResponseRedirect(self.next_url({}))
        return HttpResponseRedirect(resolve_url(settings.LOGIN_URL))

    def subject(self) -> Any:
        return pending.find(proofs.session_of(self.request), timezone.now())[1]

    def finish(self, answer: verify.Answer) -> None:
        self.finished = verify.finish_login(
            proofs.session_of(self.request),
            answer,
            now=timezone.now(),
            client=identify(self.request),
        )

    def done(self, user: Any, sent: Mapping[str, Any]) -> HttpResponse:
        half, user = self.finished
        self.request.user = user
        rotate_token(self.request)
        if not half.announced:
            user_logged_in.send(sender=type(user), request=self.request, user=user)
        response = super().done(user, sent)
        if sent.get("trust_device"):
            self._trust(user, response)
        return response

    def _trust(self, user: Any, response: HttpResponse) -> None:
        age, client = devices.age_limit(), identify(self.request)
        token = devices.trust(
            user,
            session_id=proofs.session_of(self.request).public_id,
            client=client,
            now=timezone.now(),
        )
        if token is not None and age is not None:
            response.set_cookie(
                devices.COOKIE,
                token,
                max_age=int(age.total_seconds()),
                path=settings.SESSION_COOKIE_PATH,
                domain=settings.SESSION_COOKIE_DOMAIN,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )


class StepUpView(ProofView):
    """For who is signed in: show the factor, or the password, once more."""

    template_name = "secure_sessions/mfa/step_up.html"
    purpose = "step_up"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if proofs.session_of(request).impersonator:
            return answers.demanded(request, Demand.OWN_SESSION)
        return super().dispatch(request, *args, **kwargs)

    def subject(self) -> Any:
        if not self.request.user.is_authenticated:
            raise NothingPending
        return self.request.user

    def refuse(self, error: SecondFactorError, user: Any = None) -> HttpResponse:
        if isinstance(error, NothingPending):
            return self.nobody()
        return super().refuse(error, user)

    def nobody(self) -> HttpResponse:
        return answers.authentication_required(self.request)

    def methods(self, user: Any) -> set[str]:
        return super().methods(user) if factors.has_factor(user.pk) else {"password"}

    def read(self, sent: Mapping[str, Any]) -> verify.Answer:
        if "password" in sent:
            return proofs.password(self.request, sent["password"])
        return super().read(sent)

    def finish(self, answer: verify.Answer) -> None:
        verify.step_up(
            proofs.session_of(self.request),
            self.request.user,
            answer,
            now=timezone.now(),
            client=identify(self.request),
        )
        rotate_token(self.request)


class ChallengeView(View):
    """Give the browser what a security key needs to sign."""

    def post(self, request: HttpRequest, purpose: str) -> HttpResponse:
        now = timezone.now()
        try:
            if purpose == VerifyView.purpose:
                user = pending.find(proofs.session_of(request), now)[1]
            elif proofs.session_of(request).impersonator:
                return answers.demanded(request, Demand.OWN_SESSION)
            elif request.user.is_authenticated:
                user = request.user
            else:
                return answers.authentication_required(request)
            throttle.refuse_if_blocked(user.pk, now)
        except SecondFactorError as error:
            status, code, text = _refusal(error)
            return _with_wait(answers.refusal(status, code, text), error)
        challenge = proofs.give_challenge(request, purpose)
        options = keys.authentication_options(user.pk, proofs.party(request), challenge)
        return JsonResponse(options)


def _refusal(error: SecondFactorError) -> tuple[int, str, str | Promise]:
    if getattr(error, "retry_at", error) is None:
        return (
            429,
            "too_many_attempts",
            _("There were too many attempts. Please ask an administrator for help."),
        )
    return REFUSALS[type(error)]


def _with_wait(response: HttpResponse, error: SecondFactorError | None) -> HttpResponse:
    if isinstance(error, AttemptsExhausted) and error.retry_at is not None:
        seconds = int((error.retry_at - timezone.now()).total_seconds()) + 1
        response["Retry-After"] = str(max(seconds, 1))
    return response


# What is charged must stay charged whatever the request comes to.
verify_login: Any = transaction.non_atomic_requests(VerifyView.as_view())
step_up: Any = transaction.non_atomic_requests(StepUpView.as_view())
challenge: Any = never_cache(csrf_protect(ChallengeView.as_view()))
for _view in (step_up, challenge):
    setattr(_view, ENROLMENT, True)
