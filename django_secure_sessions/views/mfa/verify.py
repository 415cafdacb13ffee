"""Show a second factor: to finish a login, or to do something that takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import render, resolve_url
from django.utils import timezone
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from django_secure_sessions import answers
from django_secure_sessions.client import identify
from django_secure_sessions.exceptions import (
    AttemptsExhausted,
    NothingPending,
    SecondFactorError,
)
from django_secure_sessions.mfa import devices, factors, pending, throttle, verify
from django_secure_sessions.mfa import webauthn as keys
from django_secure_sessions.models import Authenticator
from django_secure_sessions.state import ENROLMENT, Demand
from django_secure_sessions.views.steps import LoginStep, Step, refusal_of, with_wait

from . import proofs


class ProofView(Step):
    """Ask for a proof and act on it. What for, and of whom, the subclasses say."""

    template_name: ClassVar[str]
    purpose: ClassVar[str]

    def subject(self) -> Any:
        """Return the user who is to prove something, or raise ``NothingPending``."""
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

    def methods(self, user: Any) -> set[str]:
        return factors.kinds_of(user.pk)

    can_trust = False

    def page(self, user: Any, error: SecondFactorError | None = None) -> HttpResponse:
        sent, asked = self.request.POST, self.request.GET
        status, _code, text = refusal_of(error) if error else (200, "", "")
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
        return with_wait(response, error)


class VerifyView(LoginStep, ProofView):
    """Between password and session: show the second factor."""

    template_name = "secure_sessions/mfa/verify.html"
    purpose = "login"
    can_trust = True

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
            status, code, text = refusal_of(error)
            return with_wait(answers.refusal(status, code, text), error)
        challenge = proofs.give_challenge(request, purpose)
        options = keys.authentication_options(user.pk, proofs.party(request), challenge)
        return JsonResponse(options)


# What is charged must stay charged whatever the request comes to.
verify_login: Any = login_not_required(
    transaction.non_atomic_requests(VerifyView.as_view())
)
step_up: Any = transaction.non_atomic_requests(StepUpView.as_view())
challenge: Any = login_not_required(never_cache(csrf_protect(ChallengeView.as_view())))
for _view in (step_up, challenge):
    setattr(_view, ENROLMENT, True)
