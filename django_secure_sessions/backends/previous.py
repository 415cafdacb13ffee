"""Sessions that the site's previous engine kept, moved here as their cookies come."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from datetime import datetime
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.sessions.backends.base import SessionBase
from django.db import IntegrityError, transaction

from django_secure_sessions import crypto
from django_secure_sessions.conf import conf
from django_secure_sessions.exceptions import SessionLimitReached

from . import rows
from .opening import Reading
from .owning import UNSHOWN, OwnedSession, owner_of

logger = logging.getLogger("django_secure_sessions")

# As Django makes them, and whoever derives from its SessionBase.
_KEY = re.compile(r"[a-z0-9]{32}")
# What a session that has moved leaves in its old place.
_MOVED = "_secure_sessions_moved"


class MovedSession(OwnedSession):
    """
    The move of a session of ``PREVIOUS_ENGINE`` into a row of ours, at its first load.

    It is a rotation from the old key: for ``ROTATION_GRACE`` that one leads here too,
    for requests already on their way, and never after. The old key makes the row's
    id, so that there is no second move, however often and wherever it is tried.
    """

    def _move_in(self, now: datetime) -> dict[str, Any] | None:
        """Return the data of an old key's session, ``None`` if it opens none."""
        previous = previous_session(self.session_key)
        data = dict(previous.items()) if previous is not None else {}
        if previous is None or not data:
            return None
        old = crypto.credential_of_previous(str(self.session_key))
        if _MOVED not in data:
            if not _is_let_in(data):
                previous.delete()
                return None
            with suppress(IntegrityError):  # another request was faster
                return self._move(previous, old, data, now)
        # The browser has the new key, or is about to get it: don't take it away.
        self.by_previous_key = True
        row = rows.fetch(self._using, "id", old.digest)
        if row is None or not self._cross_rotation(row, old, now):
            return None
        self._credential = old
        return self._open(Reading(row)) if self._admit(row, now) else None

    def _move(
        self,
        previous: SessionBase,
        old: crypto.Credential,
        data: dict[str, Any],
        now: datetime,
    ) -> dict[str, Any] | None:
        known = vars(self).pop("_session_cache", None)
        old_key, self._session_key = self.session_key, crypto.new_session_key()
        self._reserved_id, self._session_cache = old.digest, data
        # Nobody knows how, or when, its user signed in.
        self.proof = UNSHOWN
        try:
            self._insert(self._owner(data), rotated_from=old)
        except SessionLimitReached:
            previous.delete()
            return None
        except BaseException:
            self._session_key = old_key
            raise
        finally:
            del self.proof, self._session_cache
            if known is not None:
                self._session_cache = known
            self._reserved_id = None
            # No login of this request: its answer is what the page says.
            self.is_new_login = self.suspended = False
        self._rotated = self.modified = True
        transaction.on_commit(partial(_leave_notice, previous, now), using=self._using)
        return data


class _Contents(dict[str, Any]):
    """As much of a session as Django asks for when it looks up the user of one."""

    def flush(self) -> None:
        self.clear()

    def cycle_key(self) -> None:
        """The move brings a new key anyway."""


def previous_session(session_key: str | None) -> SessionBase | None:
    """Return what ``PREVIOUS_ENGINE`` may keep under a key. No I/O."""
    engine = conf.previous_engine
    if not engine or session_key is None or not _KEY.fullmatch(session_key):
        return None
    store: SessionBase = import_module(engine).SessionStore(session_key)
    return store


def _is_let_in(data: dict[str, Any]) -> bool:
    """Whether Django would take the session's user, if it has one, for signed in."""
    if SESSION_KEY not in data:
        return True
    contents: Any = SimpleNamespace(session=_Contents(data))
    return owner_of(data) is not None and get_user(contents).is_authenticated


def _leave_notice(previous: SessionBase, now: datetime) -> None:
    """Empty a session that has moved, and have it expire with the old key."""
    previous.clear()
    previous[_MOVED] = True
    previous.set_expiry(now + conf.rotation_grace)
    try:
        previous.save()
    except Exception as error:
        # The session is ours by now, and can't move twice.
        logger.error("A session that moved was left behind: %s", type(error).__name__)
