"""Seal the secrets of all factors anew, after ``SECRET_KEY`` was replaced."""

from __future__ import annotations

from typing import NamedTuple

from django_secure_sessions.models import Authenticator

from .factors import using
from .sealing import SecretUnreadable, is_current, open_secret, seal_secret


class Resealed(NamedTuple):
    """How many were sealed anew, were right already, and can't be opened."""

    done: int
    current: int
    unreadable: int


def reseal_all() -> Resealed:
    """
    Put every factor's secret under ``SECRET_KEY``, so that fallbacks can go.

    Safe beside running logins, and to be repeated: a row that changed meanwhile is
    left as it is.
    """
    found = Authenticator._base_manager.using(using())
    done = current = unreadable = 0
    with_secret = found.exclude(type=Authenticator.Type.RECOVERY).order_by("pk")
    for authenticator in with_secret.iterator(chunk_size=500):
        if is_current(authenticator):
            current += 1
            continue
        try:
            plain = open_secret(authenticator)
        except SecretUnreadable:
            unreadable += 1
            continue
        sealed = seal_secret(authenticator, plain)
        before = bytes(authenticator.secret)
        done += found.filter(pk=authenticator.pk, secret=before).update(secret=sealed)
    return Resealed(done, current, unreadable)
