"""Real threads, each with a database connection of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Event

from django.db import connection

# At once, unless more are asked for. PostgreSQL grants 100 connections by default,
# and not to us alone.
THREADS = 25
PATIENCE = 120  # seconds: a thread that waits longer is stuck


def together(work, arguments, at_once=THREADS):
    """
    Call `work` once for each of `arguments`, in up to `at_once` threads.

    All threads start at the same moment. Return the results in order; a call that
    raised fails the test.
    """
    arguments = list(arguments)
    lanes = [arguments[lane::at_once] for lane in range(min(at_once, len(arguments)))]
    start = Barrier(len(lanes))

    def run(lane):
        try:
            connection.ensure_connection()
            start.wait(PATIENCE)
            return [work(argument) for argument in lane]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(lanes)) as pool:
        done = list(pool.map(run, lanes))
    results = [None] * len(arguments)
    for lane, values in enumerate(done):
        results[lane::at_once] = values
    return results


@contextmanager
def watching(look):
    """Call `look` again and again in a thread of its own; yield what it returned."""
    seen, over = [], Event()

    def run():
        try:
            while not over.is_set():
                seen.append(look())
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        watcher = pool.submit(run)
        try:
            yield seen
        finally:
            over.set()
            watcher.result(PATIENCE)
