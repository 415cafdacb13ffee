"""What all our admins share: they are for reading, at any number of rows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.contrib.auth import get_permission_codename, get_user_model
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise, cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

Row = TypeVar("Row", bound=models.Model)

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin
    BasePaginator = Paginator
else:
    # Generic for type checkers only.
    class ModelAdmin(admin.ModelAdmin):
        def __class_getitem__(cls, item):
            return cls

    class BasePaginator(Paginator):
        def __class_getitem__(cls, item):
            return cls


class CappedPaginator(BasePaginator[Any]):
    """
    Count no further than ``cap``: a full count of 10^6 rows takes longer than the
    page, and nobody leafs through that many. Beyond the cap one filters or searches.
    """

    cap = 10_000

    @cached_property
    def count(self) -> int:
        return min(self._counted, self.cap)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than the pages hold."""
        return self._counted > self.cap

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: self.cap + 1].values("pk").count())


class ReadingAdmin(ModelAdmin[Row]):
    """Lists and shows rows. Nobody adds, changes or deletes one here."""

    # Query parameters that may filter, besides the filters' own. Without such a
    # list ``?key_digest__startswith=a`` reads a column that no page shows.
    allowed_lookups: frozenset[str] = frozenset()

    paginator = CappedPaginator
    change_list_template = "secure_sessions/admin/change_list.html"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200
    list_select_related = ("user",)
    actions: Any = None

    class Media:
        css = {"all": ("secure_sessions/admin.css",)}

    def lookup_allowed(
        self, lookup: str, value: Any, request: HttpRequest | None = None
    ) -> bool:
        return lookup in self.allowed_lookups

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        """
        Never for the row alone, but the page that deletes a user asks this too.

        Whoever may delete the user may delete what belongs to the user.
        """
        if self._is_own_page(request):
            return False
        opts = get_user_model()._meta
        codename = get_permission_codename("delete", opts)
        return request.user.has_perm(f"{opts.app_label}.{codename}")

    def _is_own_page(self, request: HttpRequest) -> bool:
        match = request.resolver_match
        own = f"{self.opts.app_label}_{self.opts.model_name}_"
        return match is not None and (match.url_name or "").startswith(own)


class ChoiceFilter(admin.SimpleListFilter):
    """A filter over known values: it asks the database for none."""

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        value = self.value()
        if value not in dict(self.lookup_choices):
            return queryset
        return self.chosen(queryset, str(value))

    def chosen(
        self, queryset: models.QuerySet[Any], value: str
    ) -> models.QuerySet[Any]:
        """Return the rows that have ``value``."""
        raise NotImplementedError


def dates(field: str) -> frozenset[str]:
    """Return the query parameters of Django's date filter over ``field``."""
    return frozenset(f"{field}__{lookup}" for lookup in ("gte", "lt", "isnull"))


def short_time(moment: datetime) -> str:
    """Return a time as a list has room for: short, local, as the language has it."""
    return _local_time(moment, "SHORT_DATETIME_FORMAT")


def long_time(moment: datetime) -> str:
    """Return a time as the page of one row shows it."""
    return _local_time(moment, "DATETIME_FORMAT")


def _local_time(moment: datetime, form: str) -> str:
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return date_format(local, form)


def titled(title: str | Promise, value: str) -> SafeString:
    """Return a cell that says what it is where a narrow screen hides the heading."""
    return format_html('<span class="cell-title">{}</span> {}', title, value)


def name_of(user: Any) -> str:
    return user.get_username() if user is not None else ""
