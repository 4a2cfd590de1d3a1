"""Working off the outbox in the process of the test: relay and workers, one step after another."""

from __future__ import annotations

from outbox import window
from outbox.delivery import claim, deliver
from outbox.models import Outcome
from outbox.queues import get_queue, queues
from outbox.relay import Relay


def work_off() -> list[Outcome]:
    """Deliver due rows, also those that handlers publish, until none is left; return the outcomes.

    A row that fails waits for its next attempt, and is left for the next call.
    """
    outcomes: list[Outcome] = []
    relay = Relay()
    while True:
        relay.tick()
        popped = [(queue, row_id) for queue in queues() for row_id in _pop_all(queue)]
        if not popped:
            return outcomes
        outcomes += [outcome for queue, row_id in popped if (outcome := deliver_one(queue, row_id))]


def deliver_one(queue: str, row_id: int) -> Outcome | None:
    """Make one attempt at the row, as a worker that has popped its id; None if it isn't to be had."""
    lease = claim(get_queue(queue), row_id)
    return deliver(lease)[0] if lease else None


def _pop_all(queue: str) -> list[int]:
    """Take all ids from the queue's lists, most urgent first, as a worker would."""
    ids = []
    while (row_id := window.pop(queue, aged_first=False)) is not None:
        ids.append(row_id)
    return ids
