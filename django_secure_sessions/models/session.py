"""A session as a row that the site owns and can reason about."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class SessionQuerySet(models.QuerySet["Session"]):
    """Reads for lists and searches; the request path uses compiled SQL instead."""

    def live(self, now: datetime) -> SessionQuerySet:
        """
        Sessions that have not ended and are not past their recorded expiry.

        The recorded expiry may trail the true idle deadline by up to one idle
        timeout; ``policy.evaluate`` gives the exact answer for one session.
        """
        return self.filter(ended_at=None, expires_at__gt=now)

    def ended(self) -> SessionQuerySet:
        return self.exclude(ended_at=None)

    def for_user(self, user: Any) -> SessionQuerySet:
        return self.filter(user=user)


class Session(models.Model):
    """
    One session. The secret in the cookie is stored nowhere: ``key_digest`` is a
    keyed digest of it and ``data`` is sealed under a key derived from it.

    Does not inherit ``AbstractBaseSession``, whose primary key is the raw key.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key_digest = models.UUIDField(unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        related_name="secure_sessions",
        verbose_name=_("user"),
        # See UserSecurity.
        db_constraint=False,
        # The composite index below starts with the same column.
        db_index=False,
    )
    data = models.BinaryField(editable=False)
    version = models.PositiveIntegerField(default=0, editable=False)

    created_at = models.DateTimeField(_("created"))
    authenticated_at = models.DateTimeField(_("authenticated"), null=True)
    # No index: a touch then stays a heap-only update on PostgreSQL.
    last_activity = models.DateTimeField(_("last active"))
    expires_at = models.DateTimeField(_("expires"))

    aal = models.PositiveSmallIntegerField(_("assurance level"), default=0)
    amr = models.CharField(_("methods"), max_length=64, blank=True)

    # Not an inet column: the privacy mode may store a keyed hash.
    ip_address = models.CharField(_("IP address"), max_length=45, null=True)  # noqa: DJ001 - NULL: unknown
    user_agent = models.CharField(_("user agent"), max_length=512, blank=True)
    impersonator = models.CharField(_("impersonator"), max_length=64, blank=True)

    ended_at = models.DateTimeField(_("ended"), null=True)
    end_reason = models.CharField(_("reason"), max_length=24, blank=True)

    # The key before the last rotation, honoured for ROTATION_GRACE.
    previous_digest = models.UUIDField(null=True, db_index=True, editable=False)
    previous_seal = models.BinaryField(null=True, editable=False)
    rotated_at = models.DateTimeField(null=True, editable=False)

    # Set only where RULES_FOR gave the user other limits than the site's.
    idle_seconds = models.PositiveIntegerField(null=True, editable=False)
    absolute_seconds = models.PositiveIntegerField(null=True, editable=False)

    objects = SessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        default_permissions = ("view",)
        permissions = [("revoke_session", _("Can revoke sessions"))]
        indexes = [
            models.Index(
                fields=["user", "ended_at", "created_at"],
                name="secure_sessions_by_user",
            ),
            # For the clean-up: what is past its time, and what ended long ago.
            models.Index(
                fields=["ended_at", "expires_at"], name="secure_sessions_by_end"
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def __repr__(self) -> str:
        return f"<Session {self.pk}>"
