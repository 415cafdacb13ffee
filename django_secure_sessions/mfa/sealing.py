"""The secrets of factors at rest: sealed, and bound to user, row and kind."""

from __future__ import annotations

import logging
from functools import lru_cache

from django.conf import settings

from django_secure_sessions import crypto
from django_secure_sessions.models import Authenticator

logger = logging.getLogger("django_secure_sessions")


class SecretUnreadable(ValueError):
    """A factor's secret does not open under any key of this site."""


def seal_secret(authenticator: Authenticator, plain: bytes) -> bytes:
    """Return ``plain`` sealed for this row alone, under ``SECRET_KEY``."""
    return crypto.seal(_key(settings.SECRET_KEY), plain, _context(authenticator))


def open_secret(authenticator: Authenticator) -> bytes:
    """
    Return the secret of a factor.

    ``SECRET_KEY`` and its fallbacks are tried. Raise ``SecretUnreadable``, and say
    so in the log, when none fits: the factor is then out of use, never waived.
    """
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return crypto.open_sealed(
                _key(secret), bytes(authenticator.secret), _context(authenticator)
            )
        except crypto.SealBroken:
            continue
    logger.error("The secret of factor %s does not open.", authenticator.pk)
    raise SecretUnreadable(str(authenticator.pk))


def is_current(authenticator: Authenticator) -> bool:
    """Whether the secret is sealed under ``SECRET_KEY`` and not a fallback."""
    try:
        crypto.open_sealed(
            _key(settings.SECRET_KEY),
            bytes(authenticator.secret),
            _context(authenticator),
        )
    except crypto.SealBroken:
        return False
    return True


@lru_cache(maxsize=32)
def _key(secret: str | bytes) -> bytes:
    return crypto.derive(secret, "mfa")


def _context(authenticator: Authenticator) -> bytes:
    owner, kind = authenticator.user_id, authenticator.type
    return f"factor|{owner}|{authenticator.pk}|{kind}".encode()
