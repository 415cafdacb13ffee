"""How many reads a second one process serves, with more and more threads."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

from django.db import connections

from .engines import Engine
from .measuring import turns
from .requests import Booth, make_users, read, request

THREADS = (1, 4, 16)

Rates = dict[int, dict[str, float]]


def measure(
    engines: Sequence[Engine], rounds: int, seconds: float, say: Callable[[str], None]
) -> Rates:
    """Return authenticated reads a second: threads -> engine -> median of rounds."""
    users = make_users(max(THREADS), "busy")
    booths = [Booth(engine) for engine in engines]
    for booth in booths:
        booth.cookies = booth.sign_in(users)
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number, order in turns(rounds, booths):
        say(f"throughput: round {number + 1} of {rounds}")
        for booth in order:
            for count in THREADS:
                rate = _rate(booth, count, seconds)
                found[count][booth.engine.label].append(rate)
    return {
        count: {label: median(rates) for label, rates in of.items()}
        for count, of in found.items()
    }


def _rate(booth: Booth, count: int, seconds: float) -> float:
    served = [0] * count
    start = threading.Barrier(count + 1)
    over = threading.Event()
    handler = booth.handlers[read]

    def serve(number: int) -> None:
        cookie = booth.cookies[number]
        try:
            handler(request(cookie))  # connects
            start.wait()
            while not over.is_set():
                handler(request(cookie))
                served[number] += 1
        finally:
            connections.close_all()

    with booth.engine.chosen():
        threads = [
            threading.Thread(target=serve, args=(number,)) for number in range(count)
        ]
        for thread in threads:
            thread.start()
        start.wait()
        began = perf_counter()
        over.wait(seconds)
        total, lasted = sum(served), perf_counter() - began
        over.set()
        for thread in threads:
            thread.join()
    return total / lasted
