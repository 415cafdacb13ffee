"""
Session keys, their digests, and sealing.

Everything is derived from the site's secret: ``SECRET_KEY`` for what is written,
``SECRET_KEY_FALLBACKS`` too for what is read. Nothing here knows rows or requests.
"""

from __future__ import annotations

import hmac
import os
import string
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.utils.crypto import get_random_string
from django.utils.encoding import force_bytes

ALPHABET = string.ascii_lowercase + string.digits
RANDOM_LENGTH = 32  # 165 bits; ASVS 7.2.3 asks for at least 128
MAC_LENGTH = 8  # 40 bits: a filter against forged keys, not the secret itself
KEY_LENGTH = RANDOM_LENGTH + MAC_LENGTH
NONCE_LENGTH = 12  # SP 800-38D, 8.2.2: random 96-bit nonces
# Any byte as a character of the alphabet.
_SPELLING = bytes(ord(ALPHABET[byte % len(ALPHABET)]) for byte in range(256))


class SealBroken(ValueError):
    """Sealed bytes that do not open: forged, corrupt, or of another row or key."""


class Credential(NamedTuple):
    """What a session key stands for. Never the key itself."""

    digest: UUID
    content_key: bytes
    # False when a fallback of SECRET_KEY vouched for the key: rotate it.
    current: bool


@lru_cache(maxsize=32)
def _site_key(secret: str | bytes) -> hmac.HMAC:
    # Copied, it costs a third of one made anew.
    return hmac.new(derive(secret, "session"), digestmod="sha512")


def derive(secret: str | bytes, purpose: str) -> bytes:
    """Return a 32-byte key for one purpose from the site's secret."""
    label = b"django_secure_sessions." + purpose.encode()
    return hmac.digest(force_bytes(secret), label, "sha256")


def new_session_key() -> str:
    """Return a fresh session key: 32 random characters and 8 of MAC."""
    random = get_random_string(RANDOM_LENGTH, ALPHABET)
    _, _, mac = _parts(random.encode(), settings.SECRET_KEY)
    return random + mac.decode()


def resolve(session_key: str | None) -> Credential | None:
    """
    Return what ``session_key`` stands for, or ``None`` for a key never issued.

    Costs no I/O, so a forged cookie costs no query either.
    """
    if session_key is None or len(session_key) != KEY_LENGTH:
        return None
    if not session_key.isascii():
        return None
    raw = session_key.encode()
    random, spelled = raw[:RANDOM_LENGTH], raw[RANDOM_LENGTH:]
    digest, content_key, mac = _parts(random, settings.SECRET_KEY)
    current = hmac.compare_digest(mac, spelled)
    if not current:
        for fallback in settings.SECRET_KEY_FALLBACKS:
            digest, content_key, mac = _parts(random, fallback)
            if hmac.compare_digest(mac, spelled):
                break
        else:
            return None
    # MariaDB's uuid column takes only well-formed ones, which leaves 122 bits.
    return Credential(UUID(bytes=digest, version=4), content_key, current)


def credential_of_previous(session_key: str) -> Credential:
    """Return what a key of another engine stands for after its session moved here."""
    keyed = b"previous." + session_key.encode()
    digest, content_key, _ = _parts(keyed, settings.SECRET_KEY)
    return Credential(UUID(bytes=digest, version=4), content_key, current=True)


def _parts(random: bytes, secret: str | bytes) -> tuple[bytes, bytes, bytes]:
    """
    Return the digest, the content key and the MAC of a key's random part.

    Disjoint parts of one HMAC-SHA-512, a pseudorandom function (RFC 2104): to know
    one of them, as a browser does the MAC, says nothing about the others.
    """
    keyed = _site_key(secret).copy()
    keyed.update(random)
    block = keyed.digest()
    return block[:16], block[16:48], block[48:56].translate(_SPELLING)


def seal(content_key: bytes, plain: bytes, context: bytes) -> bytes:
    """Encrypt ``plain`` with AES-256-GCM, bound to ``context``."""
    nonce = os.urandom(NONCE_LENGTH)
    return nonce + AESGCM(content_key).encrypt(nonce, plain, context)


def open_sealed(content_key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Undo ``seal``. Raise ``SealBroken`` when anything about it is not right."""
    sealed = bytes(sealed)
    nonce, box = sealed[:NONCE_LENGTH], sealed[NONCE_LENGTH:]
    try:
        return AESGCM(content_key).decrypt(nonce, box, context)
    except (InvalidTag, ValueError) as error:
        raise SealBroken("sealed bytes do not open") from error
