"""
The only reader of ``SECURE_SESSIONS``.

Values are read lazily, so ``override_settings`` works; ``checks`` validates them,
this module only converts. Durations accept a ``timedelta`` or seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .presets import PRESETS
from .roles import default_roles
from .state import LimitStrategy, Rules

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        # Limits
        "MAX_SESSIONS": 3,
        "LIMIT_STRATEGY": "evict_oldest",
        "RULES_FOR": None,
        # Time. Defaults: OWASP low-risk idle limit, SP 800-63B-4 AAL3 overall limit.
        "PRESET": None,
        "IDLE_TIMEOUT": timedelta(minutes=30),
        "ABSOLUTE_TIMEOUT": timedelta(hours=12),
        "TOUCH_INTERVAL": timedelta(seconds=60),
        "ROTATION_GRACE": timedelta(seconds=30),
        "PASSIVE_HEADER": "X-Passive-Request",
        "PASSIVE_VIEWS": (),
        # The client
        "TRUSTED_PROXIES": None,
        "CLIENT_IP_HEADER": "X-Forwarded-For",
        "CLIENT_IP": None,
        "IP_PRIVACY": "full",
        "BINDING": "off",
        # Revocation
        "ON_PASSWORD_CHANGE": "end_others",
        "ON_DEACTIVATE": "end_all",
        "IMPERSONATION": "django_secure_sessions.roles.impersonator",
        # Notices
        "NEW_DEVICE": "log",
        "NOTIFY": "django_secure_sessions.notices.send_mail",
        # The second factor
        "MFA_ISSUER": "",
        "MFA_WINDOW": 1,
        "MFA_PENDING_AGE": timedelta(minutes=10),
        "MFA_PENDING_TRIES": 5,
        "MFA_REQUIRED_FOR": None,
        "MFA_GRACE_PERIOD": timedelta(0),
        "MFA_TRUSTED_DEVICE_AGE": None,
        "MFA_ON_CHANGE": "end_others",
        "MFA_RP_ID": "",
        "RECENT_AUTH": timedelta(minutes=15),
        # Answers
        "ROLES": "django_secure_sessions.roles.default_roles",
        "API_PREFIXES": (),
        # Retention
        "HISTORY": timedelta(days=30),
        "EVENT_RETENTION": timedelta(days=365),
        # The engine before this one
        "PREVIOUS_ENGINE": None,
        # The cached engine
        "CACHE_TTL": timedelta(seconds=60),
        "TOUCH_STORE": "database",
    }
)


def duration(value: Any) -> timedelta | None:
    """Return seconds or a ``timedelta`` as a ``timedelta``; ``None`` stays ``None``."""
    if value is None or isinstance(value, timedelta):
        return value
    return timedelta(seconds=value)


class Settings:
    """``SECURE_SESSIONS``, typed, with defaults. Reads cost one dict look-up."""

    @property
    def user_settings(self) -> Mapping[str, Any]:
        """What the project wrote, unconverted."""
        return _user_settings()

    def get(self, name: str) -> Any:
        """Return one setting by its documented name."""
        return _user_settings().get(name, DEFAULTS[name])

    def _duration(self, name: str) -> timedelta:
        found = duration(self.get(name))
        return timedelta(0) if found is None else found

    def _imported(self, name: str) -> Callable[..., Any] | None:
        value = self.get(name)
        found: Callable[..., Any] | None = (
            import_string(value) if isinstance(value, str) else value
        )
        return found

    @property
    def rules(self) -> Rules:
        """The site-wide rules: an explicit setting wins over ``PRESET``."""
        return _rules()

    def rules_for(self, user: Any) -> Rules:
        """The rules of one user: what ``RULES_FOR`` says, or the site's."""
        chooser = self._imported("RULES_FOR")
        chosen: Rules | None = chooser(user) if chooser else None
        return chosen or self.rules

    @property
    def has_user_rules(self) -> bool:
        return self.get("RULES_FOR") is not None

    def touch_interval(self, idle: timedelta | None) -> timedelta:
        """
        How old a recorded activity may get before it is written again.

        At most a tenth of the idle timeout, so that expiry errs early by little
        and never late.
        """
        interval = self._duration("TOUCH_INTERVAL")
        return interval if idle is None else min(interval, idle / 10)

    @property
    def rotation_grace(self) -> timedelta:
        return self._duration("ROTATION_GRACE")

    @property
    def passive_header(self) -> str:
        return str(self.get("PASSIVE_HEADER") or "")

    @property
    def passive_views(self) -> Sequence[str]:
        return tuple(self.get("PASSIVE_VIEWS"))

    @property
    def trusted_proxies(self) -> int | Sequence[str] | None:
        found: int | Sequence[str] | None = self.get("TRUSTED_PROXIES")
        return found

    @property
    def client_ip_header(self) -> str:
        return str(self.get("CLIENT_IP_HEADER"))

    @property
    def client_ip(self) -> Callable[[Any], str | None] | None:
        return self._imported("CLIENT_IP")

    @property
    def ip_privacy(self) -> str:
        return str(self.get("IP_PRIVACY"))

    @property
    def binding(self) -> str:
        return str(self.get("BINDING"))

    @property
    def on_password_change(self) -> str:
        return str(self.get("ON_PASSWORD_CHANGE"))

    @property
    def on_deactivate(self) -> str:
        return str(self.get("ON_DEACTIVATE"))

    @property
    def new_device(self) -> str:
        return str(self.get("NEW_DEVICE"))

    @property
    def notify(self) -> Callable[[Any], None] | None:
        """What tells a user of a ``SessionEvent``; ``None`` tells nobody."""
        return self._imported("NOTIFY")

    @property
    def mfa_issuer(self) -> str:
        """The site's name in an authenticator app; ``""`` for the host's."""
        return str(self.get("MFA_ISSUER"))

    @property
    def mfa_window(self) -> int:
        """Steps of 30 seconds that a code may be early or late."""
        return int(self.get("MFA_WINDOW"))

    @property
    def mfa_pending_age(self) -> timedelta:
        return self._duration("MFA_PENDING_AGE")

    @property
    def mfa_pending_tries(self) -> int:
        return int(self.get("MFA_PENDING_TRIES"))

    @property
    def mfa_required_for(self) -> str | Sequence[str] | Callable[[Any], bool] | None:
        """``"staff"``, ``"all"``, names of groups, or a callable(user) -> bool."""
        value = self.get("MFA_REQUIRED_FOR")
        is_path = isinstance(value, str) and "." in value
        found: Any = self._imported("MFA_REQUIRED_FOR") if is_path else value
        return found or None

    @property
    def mfa_grace_period(self) -> timedelta:
        return self._duration("MFA_GRACE_PERIOD")

    @property
    def mfa_trusted_device_age(self) -> timedelta | None:
        return duration(self.get("MFA_TRUSTED_DEVICE_AGE"))

    @property
    def mfa_on_change(self) -> str:
        return str(self.get("MFA_ON_CHANGE"))

    @property
    def mfa_rp_id(self) -> str:
        """The domain that security keys are bound to; ``""`` for the host's."""
        return str(self.get("MFA_RP_ID"))

    @property
    def recent_auth(self) -> timedelta:
        return self._duration("RECENT_AUTH")

    @property
    def impersonation(self) -> Callable[[Mapping[str, Any]], str | None] | None:
        return self._imported("IMPERSONATION")

    @property
    def roles(self) -> Callable[[Any], Sequence[str]]:
        return self._imported("ROLES") or default_roles

    @property
    def api_prefixes(self) -> tuple[str, ...]:
        return tuple(self.get("API_PREFIXES"))

    @property
    def history(self) -> timedelta:
        return self._duration("HISTORY")

    @property
    def event_retention(self) -> timedelta | None:
        return duration(self.get("EVENT_RETENTION"))

    @property
    def previous_engine(self) -> str:
        """The module of the engine whose sessions are taken over; ``""`` for none."""
        return str(self.get("PREVIOUS_ENGINE") or "")

    @property
    def cache_ttl(self) -> timedelta:
        return self._duration("CACHE_TTL")

    @property
    def touch_store(self) -> str:
        return str(self.get("TOUCH_STORE"))


conf = Settings()


# Remembered, since an absent setting costs a raised and caught AttributeError.
@lru_cache(maxsize=1)
def _user_settings() -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(settings, "SECURE_SESSIONS", {})
    return found


@lru_cache(maxsize=1)
def _rules() -> Rules:
    preset = PRESETS.get(conf.get("PRESET"))

    def timeout(name: str, preset_value: timedelta | None) -> timedelta | None:
        if preset is not None and name not in conf.user_settings:
            return preset_value
        return duration(conf.get(name))

    return Rules(
        idle=timeout("IDLE_TIMEOUT", preset.idle if preset else None),
        absolute=timeout("ABSOLUTE_TIMEOUT", preset.absolute if preset else None),
        max_sessions=conf.get("MAX_SESSIONS"),
        strategy=LimitStrategy(conf.get("LIMIT_STRATEGY")),
    )


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "SECURE_SESSIONS":
        _user_settings.cache_clear()
        _rules.cache_clear()


setting_changed.connect(_forget, dispatch_uid="secure_sessions.conf")
