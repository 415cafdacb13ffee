"""The audit trail: append-only, kept after the session and the user are gone."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from django_secure_sessions.wording import event_text


class SessionEvent(models.Model):
    """Something that happened to a session or a factor. ``detail`` has no secrets."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(_("time"), db_index=True)
    kind = models.CharField(_("kind"), max_length=32)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("user"),
        db_constraint=False,
        # The composite index below starts with the same column.
        db_index=False,
    )
    username = models.CharField(_("username"), max_length=254, blank=True)
    # No foreign key: the history outlives the row.
    session_id = models.UUIDField(_("session"), null=True, db_index=True)
    actor = models.CharField(_("actor"), max_length=254, blank=True)
    ip_address = models.CharField(_("IP address"), max_length=45, null=True)  # noqa: DJ001 - NULL: unknown
    user_agent = models.CharField(_("user agent"), max_length=512, blank=True)
    detail = models.JSONField(_("detail"), default=dict)

    class Meta:
        verbose_name = _("session event")
        verbose_name_plural = _("session events")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["user", "at"], name="secure_sessions_events_by_user")
        ]

    def __str__(self) -> str:
        at = timezone.localtime(self.at) if timezone.is_aware(self.at) else self.at
        return f"{self.text}, {date_format(at, 'SHORT_DATETIME_FORMAT')}"

    @property
    def text(self) -> str:
        """What happened, in a few words, translated."""
        return event_text(self.kind, of_session=self.session_id is not None)
