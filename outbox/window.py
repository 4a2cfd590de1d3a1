"""The bounded window of row ids in Redis: one list per queue and priority.

An id on a list is a hint that a row may be claimed. Lists may lose ids or hold stale and double
ones; the row decides. Every call may raise `redis.RedisError`.
"""

from __future__ import annotations

from collections.abc import Iterable

from outbox.models import Priority
from outbox.redis_client import client


def list_keys(queue: str) -> list[str]:
    """Return the keys of a queue's lists, most urgent first."""
    return [f"outbox:{queue}:{priority}" for priority in Priority.values]


def push(queue: str, ids: Iterable[tuple[int, int]]) -> None:
    """Append (id, priority) pairs, in the order given, to the lists of their priorities."""
    pipeline = client().pipeline(transaction=False)
    for row_id, priority in ids:
        pipeline.rpush(f"outbox:{queue}:{priority}", row_id)
    pipeline.execute()


def length(queue: str) -> int:
    """Return how many ids wait in Redis for this queue."""
    pipeline = client().pipeline(transaction=False)
    for key in list_keys(queue):
        pipeline.llen(key)
    return sum(pipeline.execute())


def ids(queue: str) -> set[int]:
    """Return all ids that wait in Redis for this queue; the window keeps them few."""
    pipeline = client().pipeline(transaction=False)
    for key in list_keys(queue):
        pipeline.lrange(key, 0, -1)
    return {int(row_id) for chunk in pipeline.execute() for row_id in chunk if row_id.isdigit()}
