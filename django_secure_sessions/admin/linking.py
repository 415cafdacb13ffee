"""Ways from one page of the admin to another, for whoever may go there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from django_secure_sessions.models import Session, SessionEvent

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object

Link = tuple[str, str]


class LinkingAdmin(Base):
    """Shows links above the page of one object. A mixin of ``ModelAdmin``."""

    change_form_template = "secure_sessions/admin/linked.html"

    def links(self, request: HttpRequest, shown: Any) -> Iterator[Link]:
        """Yield address and text of what is related to the object that is shown."""
        raise NotImplementedError

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        shown = self.get_object(request, unquote(object_id))
        context = {} if shown is None else self.context_of(request, shown)
        context |= extra_context or {}
        return super().change_view(request, object_id, form_url, context)

    def context_of(self, request: HttpRequest, shown: Any) -> dict[str, Any]:
        """Return what the template is told besides Django's own context."""
        return {"links": list(self.links(request, shown))}

    def link_to(
        self, request: HttpRequest, shown: models.Model, text: str | Promise
    ) -> Iterator[Link]:
        """Yield the way to the page of an object, if there is one for this person."""
        if self._may_see(request, type(shown)):
            yield self._url(type(shown), "change", shown.pk), str(text)

    def link_to_list(
        self,
        request: HttpRequest,
        model: type[models.Model],
        text: str | Promise,
        **query: Any,
    ) -> Iterator[Link]:
        """Yield the way to a list, filtered, if there is one for this person."""
        if self._may_see(request, model):
            yield f"{self._url(model, 'changelist')}?{urlencode(query)}", str(text)

    def _may_see(self, request: HttpRequest, model: type[models.Model]) -> bool:
        if not self.admin_site.is_registered(model):
            return False
        return self.admin_site.get_model_admin(model).has_view_permission(request)

    def _url(self, model: type[models.Model], page: str, *args: Any) -> str:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
        return reverse(name, args=args, current_app=self.admin_site.name)


class SessionsLinkMixin(LinkingAdmin):
    """
    For a site's own admin of users: links to the user's sessions and history.

    Goes before ``UserAdmin``.
    """

    def links(self, request: HttpRequest, shown: Any) -> Iterator[Link]:
        whose = {"user__exact": shown.pk}
        yield from self.link_to_list(
            request, Session, _("Sessions"), state="all", **whose
        )
        yield from self.link_to_list(request, SessionEvent, _("Events"), **whose)
