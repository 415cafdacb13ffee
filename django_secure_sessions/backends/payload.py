"""Session data as bytes, and the merge of two changes to it. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

RAW, DEFLATED = b"\x00", b"\x01"
# Below this many bytes deflate seldom pays for its own header.
WORTH_DEFLATING = 256

_ABSENT = object()


def pack(serializer: Any, data: Mapping[str, Any]) -> bytes:
    """Serialize session data, deflated where that is shorter."""
    plain: bytes = serializer.dumps(data)
    if len(plain) >= WORTH_DEFLATING:
        deflated = zlib.compress(plain, 1)
        if len(deflated) < len(plain):
            return DEFLATED + deflated
    return RAW + plain


def unpack(serializer: Any, packed: bytes) -> dict[str, Any]:
    """Undo ``pack``. Raise ``ValueError`` for bytes that ``pack`` did not make."""
    try:
        plain = zlib.decompress(packed[1:]) if packed[:1] == DEFLATED else packed[1:]
        data: dict[str, Any] = serializer.loads(plain)
    except zlib.error as error:
        raise ValueError("payload does not inflate") from error
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
