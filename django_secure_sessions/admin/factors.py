"""The users' second factors in the admin: which there are, never what they hold."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_secure_sessions.models import Authenticator

from .reading import ChoiceFilter, dates
from .resetting import ResettingAdmin
from .searching import of_users_named


class TypeFilter(ChoiceFilter):
    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Authenticator.Type.choices)

    def chosen(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(type=value)


@admin.register(Authenticator)
class AuthenticatorAdmin(ResettingAdmin):
    """Lists factors without their secrets, and resets those of a user."""

    list_display = (
        "user",
        "type",
        "name",
        "created_at",
        "confirmed_at",
        "last_used_at",
        "disabled_at",
    )
    sortable_by = ("created_at",)
    ordering = ("-created_at",)
    list_filter = (TypeFilter, "created_at")
    allowed_lookups = frozenset({"type", "user__exact"}) | dates("created_at")
    search_fields = ("pk",)  # shows the box; get_search_results() does the work
    search_help_text = _("User name, full name or e-mail address")
    fields = readonly_fields = list_display

    def get_queryset(self, request: HttpRequest) -> QuerySet[Authenticator]:
        sealed = ("secret", "credential_digest")
        return super().get_queryset(request).defer(*sealed)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Authenticator], search_term: str
    ) -> tuple[QuerySet[Authenticator], bool]:
        term = search_term.strip()
        return queryset.filter(of_users_named(term)) if term else queryset, False
