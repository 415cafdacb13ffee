"""Session data as bytes, and the merge of two changes to it. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

RAW, DEFLATED = b"\x00", b"\x01"
# Bytes. Below them there is little to gain.
WORTH_DEFLATING = 64
# What most sessions contain, the most frequent last. A part of the format: another
# dictionary needs another marker.
DICTIONARY = (
    b'"_csrftoken":"","_session_expiry":null,true,false,"next":"/"'
    b'{"_auth_user_id":"1","_auth_user_backend":'
    b'"django.contrib.auth.backends.ModelBackend","_auth_user_hash":"'
)
# Raw deflate, since the seal already checks what a header and a sum would. A
# window of 4 KiB: zeroing the memory for a larger one takes longer than the work.
WINDOW, MEMORY = -12, 5

_ABSENT = object()


def pack(serializer: Any, data: Mapping[str, Any]) -> bytes:
    """Serialize session data, deflated where that is shorter."""
    plain: bytes = serializer.dumps(data)
    if len(plain) >= WORTH_DEFLATING:
        deflater = zlib.compressobj(6, zlib.DEFLATED, WINDOW, MEMORY, zdict=DICTIONARY)
        deflated = deflater.compress(plain) + deflater.flush()
        if len(deflated) < len(plain):
            return DEFLATED + deflated
    return RAW + plain


def unpack(serializer: Any, packed: bytes) -> dict[str, Any]:
    """Undo ``pack``. Raise ``ValueError`` for bytes that ``pack`` did not make."""
    plain = packed[1:]
    if packed[:1] == DEFLATED:
        inflater = zlib.decompressobj(WINDOW, zdict=DICTIONARY)
        try:
            plain = inflater.decompress(plain)
        except zlib.error as error:
            raise ValueError("payload does not inflate") from error
        if not inflater.eof:
            raise ValueError("payload is cut short")
    data: dict[str, Any] = serializer.loads(plain)
    return data


def merge(
    base: Mapping[str, Any], theirs: Mapping[str, Any], ours: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Return ``theirs`` with the keys that ``ours`` changed since ``base``.

    Two requests that write different keys both keep what they wrote; of two that
    write the same key, the later save wins, as it always did.
    """
    merged = dict(theirs)
    for key in base.keys() | ours.keys():
        before, after = base.get(key, _ABSENT), ours.get(key, _ABSENT)
        if after is _ABSENT:
            merged.pop(key, None)
        elif before is _ABSENT or before != after:
            merged[key] = after
    return merged
