"""What a million cached sessions take in Redis."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from django_redis import get_redis_connection

from benchmarks.requests import Booth, read, request
from benchmarks.settings import OWN

# The digest that names a session's keys, by which a copy differs.
_DIGEST = re.compile(rb"(?<=\{)[0-9a-f]{32}(?=\})")
LIFE = 86_400  # seconds: longer than the study
BATCH = 1000


class Memory(NamedTuple):
    """Bytes of one session: as the server grew, and as MEMORY USAGE adds up."""

    grown: float
    usage: float
    keys: int


def measure(
    booth: Booth, sessions: int, say: Callable[[str], None]
) -> dict[str, Memory]:
    """Copy what real sessions left in Redis until it holds as many as asked."""
    found = {}
    redis: Any = get_redis_connection(booth.engine.cache)
    for label, interval in (("read", None), ("read and touched", 0)):
        _empty(redis)
        tracking: dict[str, Any] = (
            {} if interval is None else {"SECURE_SESSIONS": {"TOUCH_INTERVAL": 0}}
        )
        with booth.engine.chosen(**tracking):
            for cookie in booth.cookies:
                booth.handlers[read](request(cookie))  # fills
                booth.handlers[read](request(cookie))
        say(f"Redis: {sessions:,} sessions, {label}")
        found[label] = _multiply(booth, redis, sessions)
    _empty(redis)
    return found


def _multiply(booth: Booth, redis: Any, sessions: int) -> Memory:
    seeds: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for key in redis.scan_iter(f"{OWN}:*"):
        [digest] = _DIGEST.findall(key)
        seeds.setdefault(digest, []).append((key, redis.get(key)))
    assert len(seeds) == len(booth.cookies)
    keys = {len(seed) for seed in seeds.values()}
    usage = sum(redis.memory_usage(key) for seed in seeds.values() for key, _ in seed)
    _empty(redis)
    before = redis.info("memory")["used_memory"]
    templates = list(seeds.values())
    for start in range(0, sessions, BATCH):
        pipe = redis.pipeline(transaction=False)
        for number in range(start, min(start + BATCH, sessions)):
            digest = uuid.uuid4().hex.encode()
            for key, value in templates[number % len(templates)]:
                pipe.set(_DIGEST.sub(digest, key), value, ex=LIFE)
        pipe.execute()
    grown = redis.info("memory")["used_memory"] - before
    return Memory(grown / sessions, usage / len(seeds), max(keys))


def _empty(redis: Any) -> None:
    batch: list[bytes] = []
    for key in redis.scan_iter(f"{OWN}:*", count=BATCH):
        batch.append(key)
        if len(batch) >= BATCH:
            redis.unlink(*batch)
            batch = []
    if batch:
        redis.unlink(*batch)
