"""Sessions in the admin: who is signed in, from where, and out with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_secure_sessions import overview
from django_secure_sessions.backends.activity import catch_up
from django_secure_sessions.devices import device_label
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.wording import methods_text, reason_text

from .linking import Link, LinkingAdmin
from .reading import dates, long_time, short_time, titled
from .revoking import SEALED, SHOWN, RevokingAdmin, owner_of
from .searching import from_address, of_users_named, with_id
from .session_filters import LEVELS, AssuranceFilter, ReasonFilter, StateFilter


class SessionList(ChangeList):
    """A page of the list, with the last activity that the engine knows of."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        shown = list(self.result_list)
        catch_up(shown)
        self.result_list = shown


@admin.register(Session)
class SessionAdmin(LinkingAdmin, RevokingAdmin):
    """
    Lists and revokes sessions. Needs the permission ``revoke_session`` to revoke.

    Only a superuser sees the sessions of superusers, and so can end them.
    """

    # The first three are what a narrow screen must show.
    list_display = ("owner", "state", "client", "active", "created", "level")
    sortable_by = ("created", "active")
    # As an index has it, so that a page of 10^6 rows is read and not sorted. The live
    # ones have no end: by expiry, which is by activity but for the absolute limit.
    ordering = ("-ended_at", "-expires_at")
    list_filter = (StateFilter, ReasonFilter, AssuranceFilter, "created_at")
    allowed_lookups = frozenset({"state", "reason", "aal", "user__exact"}) | dates(
        "created_at"
    )
    search_fields = ("pk",)  # shows the box; get_search_results() does the work
    search_help_text = gettext_lazy(
        "User, full name, e-mail address, start of an IP address or session id"
    )
    fields = readonly_fields = (
        "id",
        "owner",
        "impersonator",
        "state",
        "device",
        "user_agent",
        "ip_address",
        "assurance",
        "methods",
        "created_at",
        "authenticated_at",
        "last_activity",
        "unused_until",
        "latest_end",
        "ended_at",
    )
    change_form_template = "secure_sessions/admin/session_detail.html"
    object_history_template = "secure_sessions/admin/session_history.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SessionList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Session | None:
        session = super().get_object(request, object_id, from_field)
        if session is not None:
            catch_up([session])
        return session

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        found = super().get_queryset(request).defer(*SEALED)
        if getattr(request.user, "is_superuser", False) or not _has_superusers():
            return found
        return found.exclude(user__is_superuser=True)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Session], search_term: str
    ) -> tuple[QuerySet[Session], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(pk=UUID(term)), False
        except ValueError:
            found = of_users_named(term) | from_address(term)
            found |= with_id("pk", term, queryset.db)
            return queryset.filter(found), False

    def links(self, request: HttpRequest, shown: Session) -> Iterator[Link]:
        if shown.user is not None:
            yield from self.link_to(request, shown.user, _("User"))
            yield from self.link_to_list(
                request,
                Session,
                _("All sessions of this user"),
                state="all",
                user__exact=shown.user_id,
            )
        yield from self.link_to_list(request, SessionEvent, _("Events"), q=shown.pk)

    def context_of(self, request: HttpRequest, shown: Session) -> dict[str, Any]:
        may_revoke = shown.ended_at is None and self.has_revoke_permission(request)
        return {**super().context_of(request, shown), "may_revoke": may_revoke}

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show what the audit trail knows of the session, beside Django's own log."""
        session = self.get_object(request, unquote(object_id))
        events = SessionEvent.objects.none()
        if session is not None:
            events = SessionEvent.objects.filter(session_id=session.pk)
        context = {
            "events": [
                {
                    "at": event.at,
                    "text": event.text,
                    "actor": event.actor,
                    "ip_address": event.ip_address,
                    "device": device_label(event.user_agent),
                }
                for event in events.order_by("-at", "-pk")[:SHOWN]
            ],
            **(extra_context or {}),
        }
        return super().history_view(request, object_id, context)

    @admin.display(description=gettext_lazy("user"))
    def owner(self, session: Session) -> str:
        return owner_of(session)

    @admin.display(description=gettext_lazy("device"))
    def device(self, session: Session) -> str:
        return device_label(session.user_agent)

    @admin.display(description=gettext_lazy("device, IP address"))
    def client(self, session: Session) -> str:
        lines = (device_label(session.user_agent), session.ip_address)
        return format_html_join(
            mark_safe("<br>"), "{}", ((line,) for line in lines if line)
        )

    @admin.display(description=gettext_lazy("AAL"))
    def level(self, session: Session) -> str:
        return titled(_("AAL"), str(session.aal))

    @admin.display(description=gettext_lazy("assurance level"))
    def assurance(self, session: Session) -> str:
        return str(LEVELS.get(session.aal, session.aal))

    @admin.display(description=gettext_lazy("methods"))
    def methods(self, session: Session) -> str:
        return methods_text(session.amr)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, session: Session) -> str:
        return titled(_("created"), short_time(session.created_at))

    @admin.display(description=gettext_lazy("last active"), ordering="last_activity")
    def active(self, session: Session) -> str:
        return titled(_("last active"), short_time(session.last_activity))

    @admin.display(description=gettext_lazy("ends if unused until"))
    def unused_until(self, session: Session) -> str:
        found = overview.standing(session, timezone.now())
        return _limit(found.idle_at) if found.is_live else ""

    @admin.display(description=gettext_lazy("ends at the latest"))
    def latest_end(self, session: Session) -> str:
        found = overview.standing(session, timezone.now())
        return _limit(found.absolute_at) if found.is_live else ""

    @admin.display(description=gettext_lazy("expires or ended"))
    def state(self, session: Session) -> str:
        """Until when, by the true deadline, or why and since when not any more."""
        found = overview.standing(session, timezone.now())
        moment = short_time(found.deadline)
        if found.is_live:
            return _("Live until %(moment)s") % {"moment": moment}
        reason = session.end_reason or (found.reason.value if found.reason else "")
        text = reason_text(reason)
        return _("%(reason)s, %(moment)s") % {"reason": text, "moment": moment}


def _limit(moment: datetime | None) -> str:
    return _("no limit") if moment is None else long_time(moment)


def _has_superusers() -> bool:
    """Whether the site's user model knows superusers at all."""
    try:
        get_user_model()._meta.get_field("is_superuser")
    except FieldDoesNotExist:
        return False
    return True
