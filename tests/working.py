"""Working off the outbox in the process of the test: relay and workers, one step after another."""

from __future__ import annotations

from outbox import window
from outbox.delivery import deliver
from outbox.models import Outcome
from outbox.queues import queues
from outbox.redis_client import client as redis_client
from outbox.relay import Relay


def work_off() -> list[Outcome | None]:
    """Deliver due rows, also those that handlers publish, until none is left; return the outcomes.

    A row that fails waits for its next attempt, and is left for the next call.
    """
    outcomes: list[Outcome | None] = []
    relay = Relay()
    while True:
        relay.tick()
        popped = [(queue, row_id) for queue in queues() for row_id in _pop_all(queue)]
        if not popped:
            return outcomes
        outcomes += [deliver(queue, row_id) for queue, row_id in popped]


def _pop_all(queue: str) -> list[int]:
    """Take all ids from the queue's lists, most urgent first, as a worker would."""
    lists = [(redis_client().lpop(key, 1000) or []) for key in window.list_keys(queue)]
    return [int(row_id) for row_ids in lists for row_id in row_ids]
