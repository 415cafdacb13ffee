"""
django-allauth: lead its logins on to our second factor.

``ACCOUNT_ADAPTER = "django_secure_sessions.contrib.allauth.AccountAdapter"``, or
inherit from it. Without it a user with a factor is not let in either, but allauth
takes whoever called ``login()`` for signed in: it sends its own signal, greets by
name, and fails where it asks for the user's start page.
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.utils import get_next_redirect_url
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # no stubs
    """Ends allauth's login where ours goes on."""

    def post_login(
        self,
        request: HttpRequest,
        user: Any,
        *,
        redirect_url: str | None,
        **kwargs: Any,
    ) -> HttpResponse:
        """Say where a half-done login was to lead; ours leads there by the code."""
        if getattr(request.session, "suspended", False):
            wanted = redirect_url or get_next_redirect_url(request)
            return HttpResponseRedirect(
                wanted or resolve_url(settings.LOGIN_REDIRECT_URL)
            )
        response: HttpResponse = super().post_login(
            request, user, redirect_url=redirect_url, **kwargs
        )
        return response
