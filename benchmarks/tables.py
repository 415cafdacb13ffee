"""What grows with the table: finding and ending one user's sessions, and bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.core.cache import caches
from django.db import connection
from django.utils import timezone
from django_redis import get_redis_connection

from django_secure_sessions import lifecycle

from .engines import Engine
from .requests import Booth, make_users, read, request
from .settings import OWN

SESSIONS_EACH = 3
# A scan of the whole table takes seconds; what is indexed is over in no time.
TRIES, TRIES_OF_A_SCAN = 15, 1
# Users who own the rows in which one user's are to be found.
CROWD = 1000
BATCH = 100_000

# How a copy of a row differs from it, as SQL; other columns are copied.
_KEYS = {
    "session_key": "md5(random()::text) || substr(md5(random()::text), 1, 8)",
    "id": "gen_random_uuid()",
    "key_digest": "gen_random_uuid()",
}
_DJANGO_KEY = "md5(random()::text)"


@dataclass
class Sizes:
    """Measured in tables of several sizes. Durations in milliseconds."""

    listing: dict[int, dict[str, float]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    revoking: dict[int, dict[str, float]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    # Bytes of one session: heap with what it moved out of line, and indexes.
    heap: dict[str, float] = field(default_factory=dict)
    indexes: dict[str, float] = field(default_factory=dict)
    redis: dict[str, int] = field(default_factory=dict)


def find(engine: Engine, user: Any) -> list[Any]:
    """Return a user's live sessions, as the engine's documentation would."""
    model = engine.model_class
    if engine.is_ours:
        return lifecycle.live_sessions(user)
    live = model.objects.filter(expire_date__gt=timezone.now())
    if engine.has_user:
        return list(live.filter(user=user))
    # Django knows no user of a session: every payload has to be opened.
    wanted = str(user.pk)
    return [
        session
        for session in live.iterator()
        if session.get_decoded().get(SESSION_KEY) == wanted
    ]


def revoke(engine: Engine, user: Any) -> None:
    """End all sessions of a user."""
    if engine.is_ours:
        lifecycle.end_all(user)
    elif engine.has_user:
        engine.model_class.objects.filter(user=user).delete()
    else:
        for session in find(engine, user):
            engine.store(session.session_key).delete()


def measure(
    engines: Sequence[Engine], counts: Sequence[int], say: Callable[[str], None]
) -> Sizes:
    """Grow the table of each engine to each count, and ask it for users."""
    sizes = Sizes()
    keepers = [engine for engine in engines if engine.model and not engine.is_cached]
    crowd = make_users(CROWD, "crowd")
    for engine in engines:
        sizes.redis[engine.label] = _redis_bytes(engine, crowd[0])
    for engine in keepers:
        empty(engine.model_class)
        Booth(engine).sign_in(crowd[:1])
    for count in sorted(counts):
        for engine in keepers:
            say(f"tables: {engine.label} to {count} rows")
            _grow(engine, count, crowd[0].pk)
        people = make_users(TRIES, f"wanted{count}")
        for engine in keepers:
            booth = Booth(engine)
            for _ in range(SESSIONS_EACH):
                booth.sign_in(people)
        _ask(keepers, count, people, sizes)
    for engine in keepers:
        _weigh(engine, sizes)
        empty(engine.model_class)
    return sizes


def _ask(
    engines: Sequence[Engine], count: int, people: Sequence[Any], sizes: Sizes
) -> None:
    listing, revoking = defaultdict(list), defaultdict(list)
    for number, user in enumerate(people):
        for engine in engines:
            if number >= (TRIES if engine.has_user else TRIES_OF_A_SCAN):
                continue
            with engine.chosen():
                began = perf_counter()
                found = find(engine, user)
                listed = perf_counter()
                revoke(engine, user)
                revoked = perf_counter()
                assert len(found) == SESSIONS_EACH
                assert not (engine.has_user and find(engine, user))
            listing[engine.label].append((listed - began) * 1000)
            revoking[engine.label].append((revoked - listed) * 1000)
    for engine in engines:
        sizes.listing[count][engine.label] = median(listing[engine.label])
        sizes.revoking[count][engine.label] = median(revoking[engine.label])


def _grow(engine: Engine, count: int, first: int) -> None:
    """Fill a table with copies of a real row, under other keys, users and times."""
    model = engine.model_class
    table = connection.ops.quote_name(model._meta.db_table)
    later = {
        column: f"{column} + random() * interval '1 hour'"
        for column in ("expire_date", "expires_at", "created_at")
    }
    present = model.objects.count()
    while present < count:
        more = min(BATCH, count - present)
        copy(engine, more, {**later, "user_id": f"{first} + n % {CROWD}"})
        present += more
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {table}")


def copy(engine: Engine, count: int, changes: Mapping[str, str]) -> None:
    """Copy a row of a table so many times, with ``changes`` to columns in SQL."""
    model = engine.model_class
    table = connection.ops.quote_name(model._meta.db_table)
    columns = [field.column for field in model._meta.concrete_fields]
    made = {**_KEYS, **changes}
    if not engine.is_ours:
        made["session_key"] = _DJANGO_KEY
    values = [made.get(column, column) for column in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {', '.join(values)} FROM (SELECT * FROM {table} LIMIT 1) one, "
            f"generate_series(1, {count}) n"
        )


def _weigh(engine: Engine, sizes: Sizes) -> None:
    model = engine.model_class
    with connection.cursor() as cursor:
        name = model._meta.db_table
        cursor.execute("SELECT pg_table_size(%s), pg_indexes_size(%s)", [name, name])
        heap, indexes = cursor.fetchone()
    rows = model.objects.count()
    sizes.heap[engine.label] = heap / rows
    sizes.indexes[engine.label] = indexes / rows


def _redis_bytes(engine: Engine, user: Any) -> int:
    """Return what Redis holds for one session that was just read."""
    cache: Any = caches[engine.cache]
    cache.delete_pattern("*")
    booth = Booth(engine)
    [cookie] = booth.sign_in([user])
    with engine.chosen():
        booth.handlers[read](request(cookie))
    redis = get_redis_connection(engine.cache)
    return sum(redis.memory_usage(key) for key in redis.scan_iter(f"{OWN}:*"))


def empty(*models: Any) -> None:
    with connection.cursor() as cursor:
        for model in models:
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"TRUNCATE {table} CASCADE")
