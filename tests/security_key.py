"""A security key in software, for tests that need no browser."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from django_secure_sessions.mfa import webauthn

SITE = webauthn.Party("example.com", "https://example.com", "Example")
USER_PRESENT, HAS_KEY = 0x01, 0x40


def b64(data):
    return urlsafe_b64encode(data).decode().rstrip("=")


class Key:
    """A security key in software: one P-256 credential and a counter."""

    def __init__(self, credential_id=b"credential-of-16"):
        self.id = credential_id
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.count = 0

    def _data(self, party, flags, extra=b""):
        rp = hashlib.sha256(party.rp_id.encode()).digest()
        return rp + bytes([flags]) + self.count.to_bytes(4, "big") + extra

    @staticmethod
    def _client_data(kind, party, challenge):
        said = {
            "type": f"webauthn.{kind}",
            "challenge": b64(bytes.fromhex(challenge.value)),
            "origin": party.origin,
            "crossOrigin": False,
        }
        return json.dumps(said).encode()

    def create(self, challenge, party=SITE):
        """Answer a registration."""
        point = self.private.public_key().public_numbers()
        cose = cbor2.dumps(
            {
                1: 2,
                3: -7,
                -1: 1,
                -2: point.x.to_bytes(32, "big"),
                -3: point.y.to_bytes(32, "big"),
            }
        )
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cose
        data = self._data(party, USER_PRESENT | HAS_KEY, attested)
        packed = {"fmt": "none", "attStmt": {}, "authData": data}
        return self._answer(
            clientDataJSON=b64(self._client_data("create", party, challenge)),
            attestationObject=b64(cbor2.dumps(packed)),
            transports=["usb", "telepathy"],
        )

    def sign(self, challenge, party=SITE, count=None):
        """Answer a login."""
        self.count = self.count + 1 if count is None else count
        client = self._client_data("get", party, challenge)
        data = self._data(party, USER_PRESENT)
        signed = data + hashlib.sha256(client).digest()
        return self._answer(
            clientDataJSON=b64(client),
            authenticatorData=b64(data),
            signature=b64(self.private.sign(signed, ec.ECDSA(hashes.SHA256()))),
        )

    def _answer(self, **response):
        return {
            "id": b64(self.id),
            "rawId": b64(self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": response,
        }
