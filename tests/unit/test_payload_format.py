"""The stored format of session data, which outlives the version that wrote it."""

from __future__ import annotations

import pytest
from django.core.signing import JSONSerializer

from django_secure_sessions.backends import payload

LOGIN = {
    "_auth_user_id": "7",
    "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
    "_auth_user_hash": "0123456789abcdef" * 4,
}
STORED = "01c3b4c89c361619181a199b989a995b58262625a7a4a691ca57aa0500"


def test_a_login_takes_less_room_than_its_words():
    """What every login contains is not stored with every login."""
    plain = JSONSerializer().dumps(LOGIN)

    assert len(payload.pack(JSONSerializer(), LOGIN)) < len(plain) / 2


def test_what_an_earlier_version_stored_still_opens():
    """The format is fixed: an update of the package signs nobody out."""
    stored = bytes.fromhex(STORED)

    assert payload.unpack(JSONSerializer(), stored) == LOGIN


@pytest.mark.parametrize("cut", [2, 10, -1])
def test_a_cut_payload_is_refused(cut):
    """Half the data is never taken for all of it."""
    packed = payload.pack(JSONSerializer(), LOGIN)

    with pytest.raises(ValueError, match="payload"):
        payload.unpack(JSONSerializer(), packed[:cut])
