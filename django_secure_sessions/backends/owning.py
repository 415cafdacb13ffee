"""How a session gets its row, and its user."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, NamedTuple

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import CreateError
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from django_secure_sessions import crypto, policy
from django_secure_sessions.conf import conf
from django_secure_sessions.crypto import Credential
from django_secure_sessions.state import ClientInfo

from . import rows
from .binding import Login, bind
from .rows import Row
from .saving import SavedSession, way_back


class Proof(NamedTuple):
    """How the user of a login was authenticated: level, and methods (RFC 8176)."""

    aal: int
    amr: str


# Of a session in which somebody else acts as the user: the user showed nothing, and
# nothing raises it.
IMPERSONATION = Proof(1, "impersonation")
# Of a session that another engine opened: signed in, and nothing is known of how.
UNSHOWN = Proof(1, "")


class OwnedSession(SavedSession):
    """The insert of a row, and the login that binds it to a user."""

    # Hears of a user about to own the session of whom no login told: called with the
    # session and the user's primary key, and may take the user out of the data.
    before_binding: ClassVar[Callable[[Any, Any], None] | None] = None

    proof = Proof(aal=1, amr="pwd")
    # The user object of a login, where somebody had it at hand.
    login_user: Any = None
    # What the user chose to end for it, where the limit asks.
    ending: Collection[uuid.UUID] | None = None
    # This very request gave the session its user.
    is_new_login = False
    # A login of this request waits for its second factor.
    suspended = False
    # Whose session, if anybody's, was flushed in this request.
    predecessor: Row | None = None
    # Of the row that the next insert makes, where somebody had to know before.
    _reserved_id: uuid.UUID | None = None

    def is_bound_to(self, user_id: Any) -> bool:
        """Whether the stored session already belongs to this user."""
        return self._row is not None and self._row.user_id == user_id

    def _owner(self, data: Any) -> Any:
        """
        Return whose the session is to be, by its data.

        Django's ``login()`` has told of its user by now. Whatever else wrote one to
        the data, channels say, has not: who has a second factor owes it all the same.
        """
        owner = owner_of(data)
        if owner is None or self.is_bound_to(owner) or self.proof.aal >= 2:
            return owner
        if getattr(self.login_user, "pk", None) == owner:
            return owner
        if self.before_binding is not None:
            self.before_binding(owner)
        return owner_of(data)

    def _insert(self, owner: Any, rotated_from: Credential | None = None) -> None:
        session_key = self.session_key
        credential = crypto.resolve(session_key)
        if credential is None:
            raise CreateError("Not a session key of this site.")
        now, client = timezone.now(), self._client()
        row_id = self._reserved_id or uuid.uuid4()
        packed = self._packed()
        row = Row(
            id=row_id,
            key_digest=credential.digest,
            user_id=None,
            data=crypto.seal(credential.content_key, packed, row_id.bytes),
            version=0,
            created_at=now,
            authenticated_at=None,
            last_activity=now,
            expires_at=self.get_expiry_date(),
            aal=0,
            amr="",
            ip_address=client.ip,
            user_agent=client.user_agent,
            impersonator="",
            ended_at=None,
            end_reason="",
            previous_digest=None,
            previous_seal=None,
            rotated_at=None,
            idle_seconds=None,
            absolute_seconds=None,
        )
        if rotated_from is not None:
            row = row._replace(**way_back(row_id, rotated_from, credential, now))
        try:
            if owner is None:
                with _savepoint(self._using):
                    rows.insert(self._using, row)
            else:
                login = self._login(owner, now, client)
                row = row._replace(**self._ownership(login))
                bind(login, partial(self._inserted, row), self.rules_of)
                self.is_new_login = True
        except IntegrityError as error:
            if rows.fetch(self._using, "key_digest", row.key_digest) is None:
                raise  # not the key: a user that doesn't exist, say
            raise CreateError from error
        self._reserved_id = None
        self._adopt(row, credential, packed, now)

    def _inserted(self, row: Row) -> Row:
        rows.insert(self._using, row)
        return row

    def _bind(self, owner: Any) -> None:
        """Give an anonymous session its user, under a new key."""
        now, client = timezone.now(), self._client()
        login = self._login(owner, now, client)
        changes = {
            **self._ownership(login),
            "last_activity": now,
            "ip_address": client.ip,
            "user_agent": client.user_agent,
        }

        before = self._belief

        def write() -> Row:
            self._belief = before  # an earlier try was rolled back
            self._write(changes=changes, rotate=not self._rotated, privileged=True)
            return self._require_row()

        try:
            bind(login, write, self.rules_of)
        except BaseException:
            self._belief = before
            raise
        self.is_new_login = True

    @property
    def _belief(self) -> tuple[Any, ...]:
        """What this object takes the stored row to be; put back after a rollback."""
        key = self.session_key
        return key, self._row, self._credential, self._content_key, self._base

    @_belief.setter
    def _belief(self, belief: tuple[Any, ...]) -> None:
        self._session_key, self._row, self._credential = belief[:3]
        self._content_key, self._base = belief[3:]

    def _login(self, owner: Any, now: datetime, client: ClientInfo) -> Login:
        rules, user = conf.rules, self.login_user
        if user is not None and user.pk != owner:
            user = None
        if conf.has_user_rules:
            user = user or get_user_model()._default_manager.get(pk=owner)
            rules = conf.rules_for(user)
        detect = conf.impersonation
        impersonator = detect(self._get_session()) if detect else None  # type: ignore[attr-defined]
        return Login(
            user_id=owner,
            rules=rules,
            client=client,
            now=now,
            using=self._using,
            impersonator=(impersonator or "")[:64],
            username=user.get_username() if user is not None else "",
            ending=self.ending,
        )

    def _ownership(self, login: Login) -> dict[str, Any]:
        """The columns that a login sets."""
        own_rules = login.rules != conf.rules
        proof = IMPERSONATION if login.impersonator else self.proof
        return {
            "user_id": login.user_id,
            "authenticated_at": login.now,
            "expires_at": policy.recorded_expiry(
                login.rules,
                authenticated_at=login.now,
                now=login.now,
                cookie=self.get_expiry_date(),
            ),
            "aal": proof.aal,
            "amr": proof.amr,
            "impersonator": login.impersonator,
            "idle_seconds": _whole(login.rules.idle) if own_rules else None,
            "absolute_seconds": _whole(login.rules.absolute) if own_rules else None,
        }


def owner_of(data: Any) -> Any:
    """Return the primary key of the user that session data names, or ``None``."""
    value = data.get(SESSION_KEY)
    if value is None:
        return None
    try:
        return get_user_model()._meta.pk.to_python(value)
    except ValidationError:
        return None


def _savepoint(using: str) -> AbstractContextManager[Any]:
    """Guard a transaction around us, if any, against a failing statement."""
    if connections[using].in_atomic_block:
        return transaction.atomic(using=using)
    return nullcontext()


def _whole(limit: timedelta | None) -> int:
    """Seconds for a column in which 0 says "no limit"."""
    return 0 if limit is None else int(limit.total_seconds())
