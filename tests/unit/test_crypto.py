"""Session keys vouch for themselves, digests betray nothing, seals open in place."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_secure_sessions import crypto
from django_secure_sessions.crypto import SealBroken, open_sealed, resolve, seal

CONTENT_KEY = bytes(range(32))
NEXT_SECRET = "another key of the tests, as harmless as the first"


class TestKeys:
    def test_form(self):
        """40 characters that cookies and foreign columns hold, 165 bits at random."""
        keys = {crypto.new_session_key() for _ in range(500)}

        assert len(keys) == 500
        assert len({key[: crypto.RANDOM_LENGTH] for key in keys}) == 500
        assert {len(key) for key in keys} == {40}
        assert set("".join(keys)) == set(crypto.ALPHABET)

    def test_own(self):
        """A key of ours is recognised, without a look at any table."""
        found = resolve(crypto.new_session_key())

        assert found.current
        assert len(found.content_key) == 32

    def test_one_key_one_credential(self):
        """The same key always stands for the same, another key for something else."""
        first, second = crypto.new_session_key(), crypto.new_session_key()

        assert resolve(first) == resolve(first)
        assert resolve(first).digest != resolve(second).digest
        assert resolve(first).content_key != resolve(second).content_key

    @given(st.text(max_size=60))
    def test_any_text(self, text):
        """No text that we did not issue is a key, and none is an error."""
        assert resolve(text) is None

    @given(st.text(crypto.ALPHABET, min_size=40, max_size=40))
    def test_right_form(self, text):
        """Neither is text of the right form: one in 10**12 has a MAC that fits."""
        assert resolve(text) is None

    @pytest.mark.parametrize("place", range(40))
    def test_any_change(self, place):
        """A key with one character changed is no key, whichever character it is."""
        key = crypto.new_session_key()
        other = "a" if key[place] != "a" else "b"

        assert resolve(key[:place] + other + key[place + 1 :]) is None

    def test_nothing(self):
        assert resolve(None) is None
        assert resolve("") is None


class TestSecrets:
    def test_fallback(self, settings):
        """SECRET_KEY_FALLBACKS vouch for keys of their time, for the same row."""
        key = crypto.new_session_key()
        before = resolve(key)
        settings.SECRET_KEY_FALLBACKS = ["older still", settings.SECRET_KEY]
        settings.SECRET_KEY = NEXT_SECRET
        after = resolve(key)

        assert after == before._replace(current=False)

    def test_dropped(self, settings):
        """Without the fallback such a key is unknown."""
        key = crypto.new_session_key()
        settings.SECRET_KEY = NEXT_SECRET

        assert resolve(key) is None

    def test_new_keys_are_of_the_new_secret(self, settings):
        """What is issued never depends on a fallback."""
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = NEXT_SECRET
        key = crypto.new_session_key()
        settings.SECRET_KEY_FALLBACKS = []

        assert resolve(key).current

    def test_bytes(self, settings):
        """A SECRET_KEY of bytes serves as well."""
        settings.SECRET_KEY = b"\xff\x00 bytes"

        assert resolve(crypto.new_session_key()).current

    def test_digest_needs_the_secret(self):
        """Who can write rows cannot compute which digest a chosen key has."""
        key = crypto.new_session_key()
        digest = resolve(key).digest.bytes

        for name in ("md5", "sha1", "sha256", "blake2b"):
            assert hashlib.new(name, key.encode()).digest()[:16] != digest

    def test_purposes_are_apart(self, settings):
        """No two uses of the site's secret share a key."""
        purposes = ["session", "cache", "mfa", "anything else"]

        assert len({crypto.derive(settings.SECRET_KEY, name) for name in purposes}) == 4


class TestSeals:
    @given(st.binary(max_size=2000), st.binary(max_size=40))
    def test_round_trip(self, plain, context):
        """What was sealed opens with the same key in the same place."""
        assert open_sealed(CONTENT_KEY, seal(CONTENT_KEY, plain, context), context) == (
            plain
        )

    def test_never_twice_the_same(self):
        """Equal data seals to different bytes: a table shows no equality."""
        assert len({seal(CONTENT_KEY, b"plain", b"row") for _ in range(100)}) == 100

    def test_plain_text_is_gone(self):
        """The data is not in the bytes."""
        assert b"plain" not in seal(CONTENT_KEY, b"plain" * 20, b"row")

    def test_bound_to_its_row(self):
        """Copied to another row, a seal stays shut."""
        with pytest.raises(SealBroken):
            open_sealed(CONTENT_KEY, seal(CONTENT_KEY, b"plain", b"row"), b"other")

    def test_bound_to_its_key(self):
        """With another key, too."""
        with pytest.raises(SealBroken):
            open_sealed(bytes(32), seal(CONTENT_KEY, b"plain", b"row"), b"row")

    @given(st.data())
    def test_any_flipped_bit(self, data):
        """One bit of difference, anywhere, and it stays shut."""
        sealed = bytearray(seal(CONTENT_KEY, b"plain text", b"row"))
        place = data.draw(st.integers(0, len(sealed) - 1))
        sealed[place] ^= 1 << data.draw(st.integers(0, 7))

        with pytest.raises(SealBroken):
            open_sealed(CONTENT_KEY, bytes(sealed), b"row")

    @given(st.binary(max_size=60))
    def test_junk(self, junk):
        """Bytes that never were sealed are a broken seal, and no other error."""
        with pytest.raises(SealBroken):
            open_sealed(CONTENT_KEY, junk, b"row")

    def test_buffers(self):
        """What a database driver returns for a BLOB opens as well."""
        sealed = seal(CONTENT_KEY, b"plain", b"row")

        assert open_sealed(CONTENT_KEY, memoryview(sealed), b"row") == b"plain"
