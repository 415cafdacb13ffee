"""Time in turns: what disturbs the machine disturbs every engine alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter_ns
from typing import Any

# The label of the row that every engine's time is measured above.
BARE = "no sessions"


@dataclass
class Times:
    """Medians of each round, in microseconds: scenario -> engine -> rounds."""

    rounds: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, scenario: str, engine: str, samples: Sequence[float]) -> None:
        """Note one round of one engine."""
        self.rounds[scenario][engine].append(median(samples))

    def added(self, scenario: str, engine: str) -> float | None:
        """The engine's own time: what it adds to the same request without it."""
        rounds = self._above_bare(scenario, engine)
        return median(rounds) if rounds else None

    def ratio(self, scenario: str, engine: str, reference: str) -> float | None:
        """The median, over rounds, of the engine's time by the reference's."""
        mine = self._above_bare(scenario, engine)
        theirs = self._above_bare(scenario, reference)
        pairs = [a / b for a, b in zip(mine, theirs, strict=False) if b > 0]
        return median(pairs) if pairs else None

    def _above_bare(self, scenario: str, engine: str) -> list[float]:
        of = self.rounds.get(scenario, {})
        rounds, bare = of.get(engine, []), of.get(BARE, [])
        floor = median(bare) if bare else 0.0
        return [max(value - floor, 0.0) for value in rounds]


def timed(call: Callable[[Any], Any], arguments: Iterable[Any]) -> list[float]:
    """Return how long ``call`` takes for each argument, in microseconds."""
    samples = []
    for argument in arguments:
        began = perf_counter_ns()
        call(argument)
        samples.append((perf_counter_ns() - began) / 1000)
    return samples


def turns(count: int, things: Sequence[Any]) -> Iterable[tuple[int, list[Any]]]:
    """Yield ``count`` rounds, each with the things in another order."""
    for number in range(count):
        start = number % len(things)
        yield number, [*things[start:], *things[:start]]
