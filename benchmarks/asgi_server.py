"""
uvicorn in so many processes on one port, forked when the site is loaded.

As gunicorn does with ``--preload``: uvicorn's own ``--workers`` each load it anew,
which takes longer than the measurement. Arguments: the port, and how many.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import uvicorn

from .site import asgi


def main(port: int, processes: int) -> None:
    config = uvicorn.Config(
        asgi,
        host="127.0.0.1",
        port=port,
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
    listening = config.bind_socket()
    children: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            uvicorn.Server(config).run([listening])
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
