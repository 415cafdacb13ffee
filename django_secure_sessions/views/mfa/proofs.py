"""Read what a client shows to prove who it is, from a form or from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from django_secure_sessions.backends.base import TrackedSession
from django_secure_sessions.conf import conf
from django_secure_sessions.exceptions import CodeRejected, MalformedCode
from django_secure_sessions.mfa import verify, webauthn
from django_secure_sessions.mfa.verify import Answer

CHALLENGE_KEY = "_secure_sessions_challenge"
# Bytes of a JSON body; the answer of a key is the longest.
BODY_LENGTH = 40_000


def body(request: HttpRequest) -> Mapping[str, Any]:
    """Return what was sent, as form or as JSON. Raise ``MalformedCode`` for neither."""
    if request.content_type != "application/json":
        return request.POST
    try:
        found = json.loads(request.body[:BODY_LENGTH])
    except (ValueError, RecursionError):
        raise MalformedCode from None
    if not isinstance(found, dict):
        raise MalformedCode
    return found


@sensitive_variables()
def answer(request: HttpRequest, sent: Mapping[str, Any], purpose: str) -> Answer:
    """
    Return the one proof in what was sent.

    ``code`` takes the digits of an app or, for whoever mistook the field, a
    recovery code. Raise ``MalformedCode`` when there is nothing that could be one.
    """
    if sent.get("credential"):
        given = webauthn.parse(sent["credential"])
        return verify.Assertion(given, take_challenge(request, purpose), party(request))
    if sent.get("recovery_code"):
        return verify.parse_recovery_code(sent["recovery_code"])
    try:
        return verify.parse_code(sent.get("code"))
    except MalformedCode:
        return verify.parse_recovery_code(sent.get("code"))


@sensitive_variables()
def password(request: HttpRequest, typed: object) -> verify.Password:
    """Return a password as a proof; the site's own backends judge it."""
    if not isinstance(typed, str) or not typed or len(typed) > 4096:
        raise MalformedCode

    def is_right() -> bool:
        user: Any = request.user
        names = {user.USERNAME_FIELD: user.get_username()}
        found = authenticate(request, password=typed, **names)
        return found is not None and found.pk == user.pk

    return verify.Password(is_right)


def give_challenge(request: HttpRequest, purpose: str) -> webauthn.Challenge:
    """Make a challenge and keep it on our side, for one purpose."""
    challenge = webauthn.new_challenge(timezone.now())
    request.session[CHALLENGE_KEY] = {"purpose": purpose, **challenge._asdict()}
    return challenge


def take_challenge(request: HttpRequest, purpose: str) -> webauthn.Challenge:
    """Take the challenge out of the session: whatever comes of it, it is used."""
    kept = request.session.pop(CHALLENGE_KEY, None)
    if not isinstance(kept, dict) or kept.get("purpose") != purpose:
        raise CodeRejected
    return webauthn.Challenge(str(kept["value"]), int(kept["number"]))


def party(request: HttpRequest) -> webauthn.Party:
    """Return who this site is to a security key."""
    host = request.get_host()
    name = host.rpartition(":")[0] if ":" in host else host
    return webauthn.Party(
        rp_id=conf.mfa_rp_id or name,
        origin=f"{request.scheme}://{host}",
        name=conf.mfa_issuer or name,
    )


def session_of(request: HttpRequest) -> TrackedSession:
    """Return the session, as what our middleware put there."""
    session = request.session
    assert isinstance(session, TrackedSession)  # noqa: S101 - for the type checker
    return session
