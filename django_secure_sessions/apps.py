from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SecureSessionsConfig(AppConfig):
    name = "django_secure_sessions"
    verbose_name = _("Sessions and sign-in")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, receivers

        receivers.connect()
        checks.register_all()
