"""
Security keys and passkeys as second factors. Needs the extra ``webauthn``.

The protocol is py_webauthn's. What is decided here: a challenge is made by us, is
kept on our side, and counts once.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction

from django_secure_sessions.exceptions import CodeRejected, MalformedCode
from django_secure_sessions.models import Authenticator

from .factors import clean_name, factors_of, usable, using
from .sealing import SecretUnreadable, open_secret, seal_secret

CHALLENGE_AGE = timedelta(minutes=5)
# By how much the clocks of a site's hosts may differ.
CLOCK_SKEW = timedelta(seconds=30)
# Characters: an honest answer with attestation stays far below.
ANSWER_LENGTH = 20_000


class Party(NamedTuple):
    """Who we are to a key: the domain it is bound to, and where our pages are."""

    rp_id: str
    origin: str
    name: str


class Challenge(NamedTuple):
    """What a key has to sign. ``number`` orders challenges in time."""

    value: str
    # Microseconds since the epoch.
    number: int

    def is_fresh(self, now: datetime) -> bool:
        age = timedelta(microseconds=_number(now) - self.number)
        return -CLOCK_SKEW <= age < CHALLENGE_AGE


def new_challenge(now: datetime) -> Challenge:
    """Return a challenge of 256 random bits."""
    return Challenge(secrets.token_hex(32), _number(now))


def parse(answer: object) -> dict[str, Any]:
    """Return a browser's answer as a dict; raise ``MalformedCode`` for no answer."""
    try:
        if isinstance(answer, str) and len(answer) <= ANSWER_LENGTH:
            answer = json.loads(answer)
    except ValueError:
        raise MalformedCode from None
    if isinstance(answer, dict) and isinstance(answer.get("id"), str):
        return answer
    raise MalformedCode


def registration_options(
    user: Any, party: Party, challenge: Challenge
) -> dict[str, Any]:
    """Return what ``navigator.credentials.create`` needs to make a new key ours."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_registration_options(
        rp_id=party.rp_id,
        rp_name=party.name,
        user_id=_handle(user),
        user_name=user.get_username(),
        user_display_name=user.get_username(),
        challenge=bytes.fromhex(challenge.value),
        exclude_credentials=_descriptors(user.pk),
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.DISCOURAGED,
            user_verification=structs.UserVerificationRequirement.PREFERRED,
        ),
    )
    found: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return found


def register(
    user: Any,
    answer: dict[str, Any],
    challenge: Challenge,
    party: Party,
    name: str,
    now: datetime,
) -> Authenticator:
    """Make a key a factor of ``user``. Raise ``CodeRejected`` when it isn't one."""
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    if not challenge.is_fresh(now):
        raise CodeRejected
    try:
        verified = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=bytes.fromhex(challenge.value),
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise CodeRejected from None
    authenticator = Authenticator(
        id=uuid.uuid4(),
        user=user,
        type=Authenticator.Type.WEBAUTHN,
        name=clean_name(name),
        credential_digest=_digest(verified.credential_id),
        sign_count=verified.sign_count,
        last_step=challenge.number,
        created_at=now,
        confirmed_at=now,
    )
    kept = {
        "id": verified.credential_id.hex(),
        "key": verified.credential_public_key.hex(),
        "transports": _transports(answer),
    }
    authenticator.secret = seal_secret(authenticator, json.dumps(kept).encode())
    try:
        with transaction.atomic(using=using()):
            authenticator.save(using=using(), force_insert=True)
    except IntegrityError:
        # The same answer twice, or a key that belongs to somebody else.
        raise CodeRejected("spent") from None
    return authenticator


def authentication_options(
    user_id: Any, party: Party, challenge: Challenge
) -> dict[str, Any]:
    """Return what ``navigator.credentials.get`` needs to ask one of a user's keys."""
    import webauthn

    options = webauthn.generate_authentication_options(
        rp_id=party.rp_id,
        challenge=bytes.fromhex(challenge.value),
        allow_credentials=_descriptors(user_id),
    )
    found: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return found


def consume(
    user_id: Any,
    answer: dict[str, Any],
    challenge: Challenge,
    party: Party,
    now: datetime,
) -> Authenticator:
    """
    Accept a signature once and return the factor it belongs to.

    A challenge counts for a key only if it is newer than the last accepted one, by
    the same conditional UPDATE as a code, so a replay and a parallel twin lose.
    Raise ``CodeRejected`` for everything that does not hold.
    """
    import webauthn
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.exceptions import WebAuthnException

    if not challenge.is_fresh(now):
        raise CodeRejected
    try:
        digest = _digest(base64url_to_bytes(answer["id"]))
        found = usable(user_id, Authenticator.Type.WEBAUTHN)
        authenticator = found.filter(credential_digest=digest).first()
        if authenticator is None:
            raise CodeRejected
        verified = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=bytes.fromhex(challenge.value),
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            credential_public_key=bytes.fromhex(_kept(authenticator)["key"]),
            # The counter is judged below, where a refusal can be told apart.
            credential_current_sign_count=0,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise CodeRejected from None
    counts = (verified.new_sign_count, authenticator.sign_count)
    if any(counts) and counts[0] <= counts[1]:
        # WebAuthn 7.2, step 22: there may be two of this key.
        raise CodeRejected("counter")
    spent = found.filter(
        pk=authenticator.pk,
        last_step__lt=challenge.number,
        sign_count=authenticator.sign_count,
    ).update(
        last_step=challenge.number,
        sign_count=verified.new_sign_count,
        last_used_at=now,
    )
    if not spent:
        raise CodeRejected("spent")
    return authenticator


def _descriptors(user_id: Any) -> list[Any]:
    from webauthn.helpers import structs

    found = []
    for authenticator in factors_of(user_id).filter(type=Authenticator.Type.WEBAUTHN):
        try:
            kept = _kept(authenticator)
        except SecretUnreadable:
            continue
        found.append(
            structs.PublicKeyCredentialDescriptor(
                id=bytes.fromhex(kept["id"]),
                transports=[
                    structs.AuthenticatorTransport(name) for name in kept["transports"]
                ]
                or None,
            )
        )
    return found


def _kept(authenticator: Authenticator) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(open_secret(authenticator))
    return found


def _transports(answer: dict[str, Any]) -> list[str]:
    """Return how the key may be reached, as far as the browser's word is sense."""
    from webauthn.helpers.structs import AuthenticatorTransport

    response = answer.get("response")
    named = response.get("transports") if isinstance(response, dict) else None
    known = {transport.value for transport in AuthenticatorTransport}
    return [name for name in named if name in known] if isinstance(named, list) else []


def _handle(user: Any) -> bytes:
    """Return the user's handle in keys: 32 bytes that name nobody."""
    return hashlib.sha256(f"secure-sessions|{user.pk}".encode()).digest()


def _digest(credential_id: bytes) -> str:
    return hashlib.sha256(credential_id).hexdigest()


def _number(now: datetime) -> int:
    return round(now.timestamp() * 1_000_000)
