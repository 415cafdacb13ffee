"""Second factors: one table for every kind, and what belongs to them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Authenticator(models.Model):
    """A factor of a user. ``secret`` is sealed, bound to user, row and type."""

    class Type(models.TextChoices):
        TOTP = "totp", _("Authenticator app")
        RECOVERY = "recovery", _("Recovery codes")
        WEBAUTHN = "webauthn", _("Security key or passkey")

    id = models.UUIDField(primary_key=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="authenticators",
        verbose_name=_("user"),
    )
    type = models.CharField(_("type"), max_length=16, choices=Type.choices)
    name = models.CharField(_("name"), max_length=64, blank=True)
    secret = models.BinaryField(editable=False, default=bytes)
    # The step of the newest accepted code: a code is valid only above it.
    last_step = models.BigIntegerField(default=-1, editable=False)
    # WebAuthn: the credential's id (SHA-256, for the look-up) and signature counter.
    credential_digest = models.CharField(  # noqa: DJ001 - unique, so not ""
        max_length=64, null=True, unique=True, editable=False
    )
    sign_count = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("created"))
    confirmed_at = models.DateTimeField(_("confirmed"), null=True)
    last_used_at = models.DateTimeField(_("last used"), null=True)
    disabled_at = models.DateTimeField(_("disabled"), null=True)

    class Meta:
        verbose_name = _("authenticator")
        verbose_name_plural = _("authenticators")
        default_permissions = ("view",)
        permissions = [("reset_mfa", _("Can reset a user's second factor"))]

    def __str__(self) -> str:
        return self.name or self.get_type_display()


class RecoveryCode(models.Model):
    """One code. The selector finds the row; the digest proves the code."""

    authenticator = models.ForeignKey(
        Authenticator, on_delete=models.CASCADE, related_name="codes"
    )
    selector = models.CharField(max_length=8, editable=False)
    digest = models.CharField(max_length=128, editable=False)
    used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["authenticator", "selector"],
                name="secure_sessions_recovery_selector",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class TrustedDevice(models.Model):
    """A browser that may skip the code, by a token kept only as a digest."""

    id = models.UUIDField(primary_key=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="trusted_devices",
    )
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    # Digest of the user's auth hash: a password change ends the trust.
    auth_digest = models.CharField(max_length=64, editable=False)
    # The newest session of this browser: who ends that one distrusts the browser.
    session_id = models.UUIDField(null=True, editable=False)
    user_agent = models.CharField(max_length=512, blank=True)
    ip_address = models.CharField(max_length=45, null=True)  # noqa: DJ001
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("trusted device")
        verbose_name_plural = _("trusted devices")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.pk)
