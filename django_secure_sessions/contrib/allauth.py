"""
django-allauth: lead its logins on to our second factor.

``ACCOUNT_ADAPTER = "django_secure_sessions.contrib.allauth.AccountAdapter"``, or
inherit from it. Without it a user with a factor is not let in either, but allauth
fails on the way, since it takes whoever called ``login()`` for signed in.
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from django.http import HttpRequest, HttpResponseRedirect

from django_secure_sessions import answers


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # no stubs
    """Stops allauth's login where ours goes on."""

    def login(self, request: HttpRequest, user: Any) -> None:
        super().login(request, user)
        if getattr(request.session, "suspended", False):
            wanted = request.POST.get("next") or request.GET.get("next") or "/"
            response = HttpResponseRedirect(answers.safe_next(request, wanted) or "/")
            raise ImmediateHttpResponse(answers.login_pending(request, response))
