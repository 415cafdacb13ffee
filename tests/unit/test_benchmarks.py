"""What the benchmarks must get right for their figures to mean anything."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest

from benchmarks import load
from benchmarks.load import Order, Visitor, drive
from benchmarks.writing import Table, markdown, restructured

ANNA, BELA = Visitor("key-of-anna", "anna"), Visitor("key-of-bela", "bela")


class Site(BaseHTTPRequestHandler):
    """Signs in by cookie, and knows one visitor."""

    def do_GET(self):
        known = self.headers["Cookie"] == f"sessionid={ANNA.cookie}"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"anna" if known else b"")

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def port():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def order(port, monkeypatch):
    """A second's load, of a clock that is moved by each look at it."""
    ticks = count(step=0.01)
    monkeypatch.setattr(load, "perf_counter", lambda: next(ticks))
    return Order("127.0.0.1", port, "/", connections=2, warm_up=0, seconds=1)


def test_a_load_counts_the_answers_to_signed_in_visitors(order):
    """A rate is of requests that were answered with the visitor's own name."""
    assert drive(order, [ANNA]) > 0


def test_a_load_stops_at_an_answer_to_somebody_else(order):
    """A server that forgets who is signed in has no rate."""
    with pytest.raises(SystemExit, match="not bela"):
        drive(order, [ANNA, BELA])


def test_both_languages_tell_the_same_figures():
    """The page for the docs and the one for readers of Markdown agree."""
    blocks = ["By ``make bench``.", Table("Bytes", ["engine", "row"], [["ours", "9"]])]

    assert restructured(blocks, "make bench") == (
        ".. Written by ``make bench``. Changes by hand will be lost.\n\n"
        "By ``make bench``.\n\n"
        "**Bytes**\n\n"
        "======  ===\nengine  row\n======  ===\nours      9\n======  ===\n"
    )
    assert markdown(blocks, "make bench", "Benchmarks") == (
        "<!-- Written by make bench. Changes by hand will be lost. -->\n\n"
        "# Benchmarks\n\n"
        "By `make bench`.\n\n"
        "**Bytes**\n\n"
        "| engine | row |\n| ------ | --: |\n| ours   |   9 |\n"
    )
