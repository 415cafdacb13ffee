"""Who must leave: as many as it takes, the right ones, never the newcomer."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_secure_sessions.limits import choose_victims
from django_secure_sessions.state import LimitStrategy

START = datetime(2030, 1, 1, tzinfo=timezone.utc)

# Few moments, so that many sessions share one.
moments = st.integers(0, 5).map(lambda n: START + timedelta(minutes=n))


class Candidate(NamedTuple):
    id: UUID
    created_at: datetime
    last_activity: datetime


candidates = st.lists(
    st.builds(Candidate, st.uuids(), moments, moments),
    max_size=12,
    unique_by=lambda candidate: candidate.id,
)
evicting = st.sampled_from([LimitStrategy.EVICT_OLDEST, LimitStrategy.EVICT_LRU])


@given(candidates, st.integers(1, 15), evicting)
def test_fits_afterwards(others, limit, strategy):
    """With the newcomer the user has as many as allowed, or all of them if fewer."""
    leaving = choose_victims(others, limit, strategy)

    assert len(others) + 1 - len(leaving) == min(len(others) + 1, limit)
    assert len(set(leaving)) == len(leaving)
    assert set(leaving) <= set(others)


@given(candidates, st.integers(1, 15), evicting)
def test_no_one_older_stays(others, limit, strategy):
    """Nobody who stays is older, or longer unused, than anybody who leaves."""
    leaving = choose_victims(others, limit, strategy)
    staying = set(others) - set(leaving)

    def rank(candidate):
        return (
            candidate.last_activity
            if strategy is LimitStrategy.EVICT_LRU
            else candidate.created_at
        )

    assert (
        not leaving
        or not staying
        or (max(map(rank, leaving)) <= min(map(rank, staying)))
    )


@given(candidates, st.integers(1, 15), evicting, st.randoms())
def test_order_of_the_rows_is_no_matter(others, limit, strategy, chance):
    """Two logins that see the same sessions choose the same ones."""
    shuffled = list(others)
    chance.shuffle(shuffled)

    assert choose_victims(shuffled, limit, strategy) == choose_victims(
        others, limit, strategy
    )


@given(candidates, st.integers(1, 15))
def test_reject_ends_nobody(others, limit):
    """Under reject it is the newcomer that has to go, which the caller sees to."""
    assert choose_victims(others, limit, LimitStrategy.REJECT) == []


@given(candidates, st.integers(1, 15), st.sets(st.integers(0, 15)), st.uuids())
def test_ask_ends_what_was_chosen(others, limit, places, stranger):
    """Under ask those go that were chosen, and nobody else, be they too few."""
    wanted = [other for place, other in enumerate(others) if place in places]
    chosen = {other.id for other in wanted} | {stranger}

    assert choose_victims(others, limit, LimitStrategy.ASK, chosen) == wanted
    assert choose_victims(others, limit, LimitStrategy.ASK) == []


@pytest.mark.parametrize("strategy", [*LimitStrategy][:2])
def test_limit_of_one(strategy):
    """With one session allowed every other leaves."""
    others = [Candidate(UUID(int=n), START, START) for n in range(3)]

    assert choose_victims(others, 1, strategy) == others
