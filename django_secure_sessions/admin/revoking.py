"""Revoking in the admin: permitted, asked back, by POST, and through the verbs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_secure_sessions import lifecycle
from django_secure_sessions.backends.activity import catch_up
from django_secure_sessions.client import identify
from django_secure_sessions.devices import device_label
from django_secure_sessions.models import Session

from .reading import ReadingAdmin, name_of

# Rows that a confirmation shows; the rest is a number.
SHOWN = 100
# What names a selection, on the list and on the page of one session.
SENT = ("action", "select_across", ACTION_CHECKBOX_NAME, "whole_user")
# No page needs them, so no page loads them.
SEALED = ("data", "previous_seal", "key_digest", "previous_digest")


class RevokingAdmin(ReadingAdmin[Session]):
    """
    Ends sessions, one, selected, or all of the users of the selected.

    Each way checks the permission ``revoke_session``, asks back on a page that
    names what will end, and takes a second POST for an answer.
    """

    actions = ("revoke_selected", "revoke_users")
    confirmation_template = "secure_sessions/admin/session_confirm_revoke.html"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_secure_sessions.revoke_session")

    def has_view_permission(
        self, request: HttpRequest, obj: Session | None = None
    ) -> bool:
        # Whoever revokes must see what.
        return super().has_view_permission(request, obj) or (
            self.has_revoke_permission(request)
        )

    def delete_model(self, request: HttpRequest, obj: Session) -> None:
        """
        Revoke, where a subclass permits to delete.

        A row that just went would leave copies behind, and no history.
        """
        self.delete_queryset(request, Session.objects.filter(pk=obj.pk))

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[Session]
    ) -> None:
        """See delete_model()."""
        self._revoke(request, queryset)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and not self.has_revoke_permission(request):
            raise PermissionDenied
        for value in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                UUID(value)
            except ValueError as error:
                raise BadRequest("Not the id of a session.") from error
        return super().changelist_view(request, extra_context)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(
                "<uuid:session_id>/revoke/",
                wrap(self.revoke_view),
                name=f"{name}_revoke",
            ),
            *super().get_urls(),
        ]

    def revoke_view(self, request: HttpRequest, session_id: UUID) -> HttpResponse:
        """
        Ask, and on a second POST revoke one session, or all of its user.

        A GET, which a link or an image can cause, does neither.
        """
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        found = self.get_queryset(request).filter(pk=session_id)
        if "whole_user" in request.POST:
            # A name to ask with: on the list the selection may have many owners.
            session = found.select_related("user").first()
            return self._revoke_users(request, found, name_of(session and session.user))
        return self._revoke_selected(request, found)

    @admin.action(
        permissions=["revoke"], description=gettext_lazy("Revoke selected sessions")
    )
    def revoke_selected(
        self, request: HttpRequest, queryset: QuerySet[Session]
    ) -> HttpResponse | None:
        return self._revoke_selected(request, queryset)

    @admin.action(
        permissions=["revoke"],
        description=gettext_lazy("Revoke all sessions of the users of selected"),
    )
    def revoke_users(
        self, request: HttpRequest, queryset: QuerySet[Session]
    ) -> HttpResponse | None:
        return self._revoke_users(request, queryset)

    def _revoke_selected(
        self, request: HttpRequest, queryset: QuerySet[Session]
    ) -> HttpResponse:
        # The selection's joins and order are for the page, not for this.
        chosen = Session.objects.filter(pk__in=queryset.order_by().values("pk"))
        return self._ask_or_revoke(request, chosen.filter(ended_at=None))

    def _revoke_users(
        self, request: HttpRequest, queryset: QuerySet[Session], name: str = ""
    ) -> HttpResponse:
        users = queryset.order_by().exclude(user=None).values("user")
        theirs = Session.objects.filter(user__in=users, ended_at=None)
        return self._ask_or_revoke(request, theirs, whole_users=True, name=name)

    def _ask_or_revoke(
        self,
        request: HttpRequest,
        sessions: QuerySet[Session],
        *,
        whole_users: bool = False,
        name: str = "",
    ) -> HttpResponse:
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        if "confirmed" in request.POST:
            count = self._revoke(request, sessions)
            text = ngettext(
                "%d session was revoked.", "%d sessions were revoked.", count
            )
            self.message_user(request, text % count, messages.SUCCESS)
            return redirect(self._list_url(request))
        return self._confirmation(request, sessions, whole_users, name)

    def _revoke(self, request: HttpRequest, sessions: QuerySet[Session]) -> int:
        return lifecycle.end_matching(
            sessions,
            actor=request.user.get_username(),
            client=identify(request),
        )

    def _confirmation(
        self,
        request: HttpRequest,
        sessions: QuerySet[Session],
        whole_users: bool,
        name: str,
    ) -> HttpResponse:
        count = sessions.count()
        found = sessions.select_related("user").defer(*SEALED)
        shown = list(found.order_by("-last_activity")[:SHOWN])
        catch_up(shown)
        own = getattr(request.session, "public_id", None)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Are you sure?"),
            "opts": self.opts,
            "count": count,
            "more": max(count - SHOWN, 0),
            "sessions": [
                {
                    "user": owner_of(session),
                    "device": device_label(session.user_agent),
                    "ip_address": session.ip_address,
                    "last_activity": session.last_activity,
                    "is_own": session.pk == own,
                }
                for session in shown
            ],
            "ends_own": own is not None and sessions.filter(pk=own).exists(),
            "whole_users": whole_users,
            "name": name,
            # What the first form sent, to be sent once more with "confirmed".
            "sent": [
                (name, value) for name in SENT for value in request.POST.getlist(name)
            ],
            "list_url": self._list_url(request),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.confirmation_template, context)

    def _list_url(self, request: HttpRequest) -> str:
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        url = reverse(f"admin:{name}", current_app=self.admin_site.name)
        if request.path == url:
            return request.get_full_path()
        # From the page of a session: to the list as it was filtered before.
        return add_preserved_filters(
            {
                "opts": self.opts,
                "preserved_filters": self.get_preserved_filters(request),
            },
            url,
        )


def owner_of(session: Session) -> str:
    return name_of(session.user) or _("anonymous")
