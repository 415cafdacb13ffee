"""The filters of the session list. The plain list is: who is signed in now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_secure_sessions.backends.activity import lag
from django_secure_sessions.conf import conf
from django_secure_sessions.models import Session
from django_secure_sessions.wording import REASON_TEXTS

from .reading import ChoiceFilter

LIVE, ENDED, ANONYMOUS, ALL = "live", "ended", "anonymous", "all"
STATES = {
    LIVE: _("Signed in now"),
    ENDED: _("Ended"),
    ANONYMOUS: _("Anonymous"),
    ALL: _("All"),
}


class StateFilter(admin.SimpleListFilter):
    """Signed in now, ended, anonymous or all."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(STATES.items())

    def value(self) -> str:
        value = super().value()
        return value if value in STATES else state_of(self.request.GET)

    def choices(self, changelist: Any) -> Iterator[Any]:
        for value, text in STATES.items():
            yield {
                "selected": self.value() == value,
                "query_string": changelist.get_query_string(
                    {self.parameter_name: value}
                ),
                "display": text,
            }

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Session]
    ) -> models.QuerySet[Session]:
        state, now = self.value(), timezone.now()
        if state == LIVE:
            found = queryset.filter(
                user__isnull=False, ended_at=None, expires_at__gt=now
            )
            if (idle := conf.rules.idle) is not None:
                # What is recorded trails the idle deadline. Users with rules of
                # their own are few: the column tells for them. Where the table in
                # turn trails the cache, a few are listed that are over.
                own_rules = Q(idle_seconds__isnull=False)
                since = now - idle - lag(idle)
                found = found.filter(own_rules | Q(last_activity__gt=since))
            return found
        if state == ENDED:
            return queryset.exclude(ended_at=None)
        if state == ANONYMOUS:
            return queryset.filter(user=None)
        return queryset


def state_of(query: Any) -> str:
    """Return the state that a query string asks for, said or implied."""
    state = query.get(StateFilter.parameter_name)
    if state in STATES:
        return str(state)
    # A reason is something only ended sessions have.
    return ENDED if query.get(ReasonFilter.parameter_name) else LIVE


class ReasonFilter(ChoiceFilter):
    """Why a session ended: offered where ended ones are listed."""

    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        if state_of(request.GET) in (LIVE, ANONYMOUS):
            return []
        return list(REASON_TEXTS.items())

    def chosen(
        self, queryset: models.QuerySet[Any], value: str
    ) -> models.QuerySet[Any]:
        return queryset.filter(end_reason=value)


LEVELS = {1: _("1, one factor"), 2: _("2, with a second factor")}


class AssuranceFilter(ChoiceFilter):
    title = _("assurance level")
    parameter_name = "aal"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(level), text) for level, text in LEVELS.items()]

    def chosen(
        self, queryset: models.QuerySet[Any], value: str
    ) -> models.QuerySet[Any]:
        return queryset.filter(aal=value)
