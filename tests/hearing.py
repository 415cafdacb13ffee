"""Listen to signals for a while."""

from __future__ import annotations

from contextlib import contextmanager


@contextmanager
def connected(signal, receiver):
    """Have a receiver hear of a signal meanwhile."""
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)


@contextmanager
def heard(signal):
    """Collect what a signal tells meanwhile, its keyword arguments, as it is sent."""
    found = []

    def hear(**told):
        found.append(told)

    with connected(signal, hear):
        yield found
