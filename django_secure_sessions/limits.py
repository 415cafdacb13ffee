"""Who must leave when a user has more live sessions than allowed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from .state import LimitStrategy


class Candidate(Protocol):
    """What the choice needs to know of a session."""

    @property
    def id(self) -> UUID: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def last_activity(self) -> datetime: ...


C = TypeVar("C", bound=Candidate)


def choose_victims(
    others: Sequence[C],
    limit: int,
    strategy: LimitStrategy,
    chosen: Collection[UUID] = (),
) -> list[C]:
    """
    Return those of ``others`` that end so that one more session fits.

    ``others`` are the user's live sessions without the new one, which therefore
    never leaves itself. As many are chosen as it takes: a lowered limit is met in
    one login. ``REJECT`` has no victims, ``ASK`` those that the user has ``chosen``,
    which may be too few; the caller compares the counts.
    """
    if strategy is LimitStrategy.ASK:
        return [other for other in others if other.id in chosen]
    excess = len(others) + 1 - limit
    if excess <= 0 or strategy is LimitStrategy.REJECT:
        return []
    if strategy is LimitStrategy.EVICT_LRU:
        ranked = sorted(others, key=lambda s: (s.last_activity, s.created_at, s.id))
    else:
        ranked = sorted(others, key=lambda s: (s.created_at, s.id))
    return ranked[:excess]
