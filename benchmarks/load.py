"""
A load generator: so many signed-in requests at a time, each answer checked.

A process of its own, which needs nothing but Python: reads what to do as JSON from
its input and prints the requests a second. Each request opens a connection, as a
proxy in front of an application server does by default.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from itertools import cycle
from time import perf_counter
from typing import NamedTuple

CHUNK = 65_536  # bytes


class Visitor(NamedTuple):
    """A signed-in browser, and the name that its answers must have."""

    cookie: str
    name: str


class Order(NamedTuple):
    """What is asked of the generator. ``warm_up`` seconds are not counted."""

    host: str
    port: int
    path: str
    connections: int
    warm_up: float
    seconds: float


class Exchange:
    """One request under way."""

    def __init__(self, order: Order, visitor: Visitor) -> None:
        self.visitor = visitor
        self.received = b""
        self.socket = socket.create_connection((order.host, order.port), timeout=10)
        self.socket.sendall(
            f"GET {order.path} HTTP/1.0\r\nHost: {order.host}\r\n"
            f"Cookie: sessionid={visitor.cookie}\r\n"
            "User-Agent: benchmark\r\n\r\n".encode()
        )

    def receive(self) -> bool:
        """Read what is there; return whether that was all."""
        chunk = self.socket.recv(CHUNK)
        self.received += chunk
        return not chunk

    def finish(self) -> None:
        """Close, and leave the program if the answer is not the right one."""
        self.socket.close()
        head, _, body = self.received.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1:2]
        if status != [b"200"] or body != self.visitor.name.encode():
            raise SystemExit(f"not {self.visitor.name}: {self.received[:500]!r}")


def drive(order: Order, visitors: list[Visitor]) -> float:
    """Return the requests answered a second."""
    selector = selectors.DefaultSelector()
    queue = cycle(visitors)

    def start() -> None:
        exchange = Exchange(order, next(queue))
        selector.register(exchange.socket, selectors.EVENT_READ, exchange)

    try:
        for _ in range(order.connections):
            start()
        answered, began = 0, perf_counter() + order.warm_up
        until = began + order.seconds
        while (now := perf_counter()) < until:
            ready = selector.select(timeout=30)
            if not ready:
                raise SystemExit("no answer for 30 s")
            for key, _ in ready:
                if key.data.receive():
                    selector.unregister(key.fileobj)
                    key.data.finish()
                    answered += now >= began
                    start()
        return answered / (perf_counter() - began)
    finally:
        for key in list(selector.get_map().values()):
            key.data.socket.close()
        selector.close()


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    visitors = [Visitor(*each) for each in asked["visitors"]]
    print(drive(Order(**asked["order"]), visitors))
