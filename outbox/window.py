"""The bounded window of row ids in Redis: per queue a list for each priority, one for aged rows,
and a bell that wakes the queue's cluster.

An id on a list is a hint that a row may be claimed. Lists may lose ids or hold stale and double
ones; the row decides. Every call may raise `redis.RedisError`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import redis

from outbox.models import Priority
from outbox.redis_client import client

logger = logging.getLogger(__name__)

AGED = "aged"


@dataclass(frozen=True)
class Lengths:
    """How many ids wait on a queue's lists; `priorities` begins with the most urgent."""

    priorities: list[int]
    aged: int

    @property
    def total(self) -> int:
        return sum(self.priorities) + self.aged


def list_keys(queue: str, *, aged_first: bool = False) -> list[str]:
    """Return the keys of a queue's lists in the order in which they are popped."""
    priorities = [_list_key(queue, priority) for priority in Priority.values]
    aged = _list_key(queue, AGED)
    return [aged, *priorities] if aged_first else [*priorities, aged]


def _list_key(queue: str, name: int | str) -> str:
    return f"outbox:{queue}:{name}"


def bell_key(queue: str) -> str:
    """Return the key of a queue's bell: a list that holds something when ids were pushed."""
    return f"outbox:{queue}:bell"


def push(queue: str, ids: Iterable[tuple[int, int | str]]) -> None:
    """Append (id, priority or `AGED`) pairs, in the order given, to their lists, and ring."""
    pipeline = client().pipeline(transaction=False)
    for row_id, name in ids:
        pipeline.rpush(_list_key(queue, name), row_id)
    pipeline.rpush(bell_key(queue), 1)
    pipeline.execute()


def pop(queue: str, *, aged_first: bool) -> int | None:
    """Take the most urgent id, or the oldest aged one if `aged_first`; None if there is none."""
    keys = list_keys(queue, aged_first=aged_first)
    while popped := client().lmpop(len(keys), *keys, direction="LEFT"):
        body = cast("list[bytes]", popped[1])[0]
        if body.isdigit():
            return int(body)
        logger.error("dropped queue=%s not an id", queue)
    return None


def wait(connection: redis.Redis, queue: str, seconds: float) -> int:
    """Wait up to `seconds` for the bell; return how many ids are there then.

    They may be there without a bell: who took it may have died. `connection` must allow a longer
    wait for an answer than `seconds`.
    """
    connection.blpop([bell_key(queue)], seconds)
    pipeline = connection.pipeline(transaction=False)
    pipeline.delete(bell_key(queue))
    for key in list_keys(queue):
        pipeline.llen(key)
    return sum(pipeline.execute()[1:])


def lengths(queue: str) -> Lengths:
    """Return how many ids wait in Redis for this queue."""
    pipeline = client().pipeline(transaction=False)
    for key in list_keys(queue):
        pipeline.llen(key)
    *priorities, aged = pipeline.execute()
    return Lengths(priorities, aged)


def ids(queue: str) -> set[int]:
    """Return all ids that wait in Redis for this queue; the window keeps them few."""
    pipeline = client().pipeline(transaction=False)
    for key in list_keys(queue):
        pipeline.lrange(key, 0, -1)
    return {int(row_id) for chunk in pipeline.execute() for row_id in chunk if row_id.isdigit()}


def aged_ids(queue: str) -> set[int]:
    """Return the ids on the list of the queue's aged rows."""
    waiting = client().lrange(_list_key(queue, AGED), 0, -1)
    return {int(row_id) for row_id in waiting if row_id.isdigit()}


def clear(queue: str) -> None:
    """Forget all ids of this queue."""
    client().delete(*list_keys(queue))
