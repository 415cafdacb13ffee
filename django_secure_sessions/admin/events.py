"""The audit trail in the admin: for reading only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_secure_sessions.devices import device_label
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.wording import EVENT_TEXTS

from .linking import Link, LinkingAdmin
from .reading import (
    ChoiceFilter,
    ReadingAdmin,
    dates,
    name_of,
    short_time,
    titled,
)
from .searching import from_address, of_users_named, with_id


class KindFilter(ChoiceFilter):
    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(EVENT_TEXTS.items())

    def chosen(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(kind=value)


@admin.register(SessionEvent)
class SessionEventAdmin(LinkingAdmin, ReadingAdmin[SessionEvent]):
    """Lists what happened: to whom, by whom, from where."""

    list_display = ("time", "what", "who", "by", "ip_address", "device")
    sortable_by = ("time",)
    ordering = ("-at",)
    list_filter = (KindFilter, "at")
    allowed_lookups = frozenset({"kind", "user__exact"}) | dates("at")
    search_fields = ("pk",)  # shows the box; get_search_results() does the work
    search_help_text = _(
        "User, full name, e-mail address, actor, start of an IP address or session id"
    )
    fields = readonly_fields = (
        "at",
        "what",
        "who",
        "actor",
        "session_id",
        "ip_address",
        "device",
        "user_agent",
        "detail",
    )

    def links(self, request: HttpRequest, shown: SessionEvent) -> Iterator[Link]:
        # The history outlives the row.
        if (
            shown.session_id is not None
            and Session.objects.filter(pk=shown.session_id).exists()
        ):
            session = Session(pk=shown.session_id)
            yield from self.link_to(request, session, _("Session"))
        if shown.user is not None:
            yield from self.link_to(request, shown.user, _("User"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SessionEvent], search_term: str
    ) -> tuple[QuerySet[SessionEvent], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(session_id=UUID(term)), False
        except ValueError:
            found = of_users_named(term) | from_address(term)
            found |= with_id("session_id", term, queryset.db)
            # Of people who are gone, of names that nobody has, and who did it: whole
            # names, which are compared far faster than their parts.
            found |= Q(username=term) | Q(actor=term)
            return queryset.filter(found), False

    @admin.display(description=_("time"), ordering="at")
    def time(self, event: SessionEvent) -> str:
        return short_time(event.at)

    @admin.display(description=_("event"))
    def what(self, event: SessionEvent) -> str:
        return event.text

    @admin.display(description=_("user"))
    def who(self, event: SessionEvent) -> str:
        return name_of(event.user) or event.username

    @admin.display(description=_("actor"))
    def by(self, event: SessionEvent) -> str:
        return titled(_("actor"), event.actor) if event.actor else ""

    @admin.display(description=_("device"))
    def device(self, event: SessionEvent) -> str:
        return device_label(event.user_agent) if event.user_agent else ""
