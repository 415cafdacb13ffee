"""Whether a serializer writes or opens pickles: found out by trying, not by name."""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Iterator
from typing import Any

# Holds nothing that a pickle would need a class for: opening it runs no code.
PROBE = {"secure_sessions": "probe"}


class _Named(Exception):
    """A pickle asks for a class or function."""


class _Careful(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise _Named


def is_pickling(serializer: Any) -> bool:
    """
    Whether ``serializer`` opens a pickle or writes one, compressed or not.

    Raises whatever ``dumps`` does to data that is as plain as can be.
    """
    written = serializer.dumps(PROBE)
    if any(_is_pickle(form) for form in _unwrapped(bytes(written))):
        return True
    return any(_opens(serializer, pickled) for pickled in _pickles())


def _pickles() -> Iterator[bytes]:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(PROBE, protocol)
        yield pickled
        yield zlib.compress(pickled)


def _opens(serializer: Any, pickled: bytes) -> bool:
    try:
        return bool(serializer.loads(pickled) == PROBE)
    except Exception:  # whatever it says to bytes that it can't read
        return False


def _unwrapped(written: bytes) -> Iterator[bytes]:
    yield written
    try:
        yield zlib.decompress(written)
    except zlib.error:
        return


def _is_pickle(form: bytes) -> bool:
    try:
        return bool(_Careful(io.BytesIO(form)).load() == PROBE)
    except _Named:
        return True
    except Exception:  # pickle raises nearly anything for what is none
        return False
