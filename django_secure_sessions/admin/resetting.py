"""Take a user's second factor away in the admin: permitted, reasoned, recorded."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_secure_sessions.client import identify
from django_secure_sessions.mfa import changes
from django_secure_sessions.models import Authenticator

from .reading import ReadingAdmin


class ReasonForm(forms.Form):
    """Why, for the history: a reset opens an account to its password alone."""

    reason = forms.CharField(
        label=gettext_lazy("Reason, and how you know who asked"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "size": 60}),
    )


class ResettingAdmin(ReadingAdmin[Authenticator]):
    """
    Resets the second factor of the users of the selected factors.

    Needs the permission ``reset_mfa`` and a reason, and asks back. Only a superuser
    resets a superuser, or whoever may reset could become one.
    """

    actions = ("reset_factors",)
    confirmation_template = "secure_sessions/admin/factors_confirm_reset.html"

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_secure_sessions.reset_mfa")

    def has_view_permission(
        self, request: HttpRequest, obj: Authenticator | None = None
    ) -> bool:
        # Whoever resets must see what.
        return super().has_view_permission(request, obj) or (
            self.has_reset_permission(request)
        )

    @admin.action(
        permissions=["reset"],
        description=gettext_lazy("Reset the second factor of the users"),
    )
    def reset_factors(
        self, request: HttpRequest, queryset: QuerySet[Authenticator]
    ) -> HttpResponse | None:
        if not self.has_reset_permission(request):
            raise PermissionDenied
        chosen = queryset.order_by().values("user")
        users = list(get_user_model()._default_manager.filter(pk__in=chosen))
        if not _may_touch(request.user, users):
            raise PermissionDenied
        form = ReasonForm(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            return self._ask(request, users, form)
        for user in users:
            changes.reset(
                user,
                actor=request.user.get_username(),
                reason=form.cleaned_data["reason"],
                now=timezone.now(),
                client=identify(request),
            )
        text = ngettext(
            "The second factor of %d user was reset.",
            "The second factors of %d users were reset.",
            len(users),
        )
        self.message_user(request, text % len(users), messages.SUCCESS)
        return None

    def _ask(
        self, request: HttpRequest, users: list[Any], form: ReasonForm
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Are you sure?"),
            "opts": self.opts,
            "users": users,
            "form": form,
            "sent": [
                (name, value)
                for name in ("action", "select_across", ACTION_CHECKBOX_NAME)
                for value in request.POST.getlist(name)
            ],
            "list_url": request.get_full_path(),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.confirmation_template, context)


def _may_touch(actor: Any, users: list[Any]) -> bool:
    if getattr(actor, "is_superuser", False):
        return True
    return not any(getattr(user, "is_superuser", False) for user in users)
