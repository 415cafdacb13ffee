"""Whoever signs in and finds no room chooses which of their sessions end for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render, resolve_url
from django.utils import timezone
from django.utils.translation import ngettext

from django_secure_sessions import answers, overview
from django_secure_sessions.backends import rows
from django_secure_sessions.exceptions import (
    MalformedChoice,
    MalformedCode,
    SecondFactorError,
    SessionLimitReached,
)
from django_secure_sessions.mfa import room
from django_secure_sessions.models import Session

from .mfa import proofs
from .steps import LoginStep, refusal_of


class ChooseView(LoginStep):
    """Show a user's sessions, end the chosen ones, and finish the login by it."""

    def subject(self) -> Any:
        return room.find(proofs.session_of(self.request), timezone.now())[1]

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            user = self.subject()
        except SecondFactorError as error:
            return self.refuse(error)
        if answers.prefers_json(request):
            return JsonResponse(overview.choice(user, timezone.now()).as_json())
        return self.page(user)

    def post(self, request: HttpRequest) -> HttpResponse:
        session, user = proofs.session_of(request), None
        try:
            user = self.subject()
            sent = _sent(request)
            self.finished = room.make(session, _chosen(sent, user), timezone.now())
        except SecondFactorError as error:
            return self.refuse(error, user)
        except SessionLimitReached:
            # Too few were chosen, or somebody else took the room.
            if answers.prefers_json(request):
                return answers.login_pending(request, None)
            return self.page(user, is_short=True)
        return self.done(user, sent)

    def page(
        self,
        user: Any,
        error: SecondFactorError | None = None,
        *,
        is_short: bool = False,
    ) -> HttpResponse:
        choice = overview.choice(user, timezone.now())
        status, _code, text = refusal_of(error) if error else (200, "", "")
        if is_short:
            status, text = 409, _at_least(choice.least)
        sent, asked = self.request.POST, self.request.GET
        context = {
            "choice": choice,
            "chosen": sent.getlist("end"),
            "error": text,
            "next": answers.safe_next(
                self.request,
                sent.get(REDIRECT_FIELD_NAME) or asked.get(REDIRECT_FIELD_NAME),
            ),
            "next_name": REDIRECT_FIELD_NAME,
            "login_url": resolve_url(settings.LOGIN_URL),
        }
        template = "secure_sessions/choose_sessions.html"
        return render(self.request, template, context, status=status)


def _sent(request: HttpRequest) -> Mapping[str, Any]:
    try:
        return proofs.body(request)
    except MalformedCode:
        raise MalformedChoice from None


def _chosen(sent: Mapping[str, Any], user: Any) -> set[UUID]:
    """Return the ids sent as ``end``; raise ``MalformedChoice`` for a foreign one."""
    given = sent.getlist("end") if isinstance(sent, QueryDict) else sent.get("end", [])
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise MalformedChoice
    try:
        chosen = {UUID(text) for text in given}
    except ValueError:
        raise MalformedChoice from None
    own = Session.objects.using(rows.alias()).for_user(user)
    if own.filter(pk__in=chosen).count() != len(chosen):
        raise MalformedChoice
    return chosen


def _at_least(count: int) -> str:
    text = ngettext(
        "There is no room yet. Choose at least %d device.",
        "There is no room yet. Choose at least %d devices.",
        count,
    )
    return text % count


# A transaction around it could undo a login that the browser was told of.
choose_sessions: Any = login_not_required(
    transaction.non_atomic_requests(ChooseView.as_view())
)
