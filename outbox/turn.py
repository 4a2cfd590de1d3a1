"""A worker's turn: rows of one queue, one after another, most urgent first.

django-q2's cost per task, a commit and a round trip are shared by the rows of a turn. Its worker
holds no id but the one that it works on, so what is published late and urgent starts next.
"""

from __future__ import annotations

import logging
import os
import time
from itertools import count

import redis

from outbox import delivery, flow, window, workers
from outbox.draining import is_draining
from outbox.queues import get_queue
from outbox.relay import AGED_EVERY
from outbox.time_limit import was_cut_off

logger = logging.getLogger(__name__)

# After this a turn begins no further row. With the longest attempt and its record it must end
# before django-q2's own time limit (`CLUSTER_TIMEOUT_SECONDS`).
TURN_SECONDS = 2.0
# How long a worker of a rate-limited queue sleeps before it looks again.
PERMIT_LOOK_SECONDS = 0.5


_starts = count(1)


class Turn:
    """One turn on a queue. `step` does one thing; `run` only loops."""

    def __init__(self, queue_name: str) -> None:
        self._queue = get_queue(queue_name)
        self._until = time.monotonic() + TURN_SECONDS
        self._is_rate_limited = self._queue.rate_per_second is not None
        self._lease: delivery.Lease | None = None
        self.timed_out = False

    def run(self) -> None:
        """Deliver rows until none waits, the turn is over, the cluster stops, or an attempt has
        timed out, after which this process is not to be trusted any more."""
        workers.beat(self._queue.name)
        while self.step():
            pass

    def step(self) -> bool:
        """Take one row or deliver the one that was taken; return whether there may be more."""
        if self._lease is not None:
            # A permit is for a start at once, so it is not asked for before this end is recorded.
            next_id = delivery.no_next if self._is_rate_limited else self._next_id
            try:
                _, self._lease = delivery.deliver(self._lease, next_id)
            finally:
                self.timed_out = was_cut_off()
            return not self.timed_out
        row_id = self._next_id()
        if row_id is None:
            return False
        self._lease = delivery.claim(self._queue, row_id)
        if self._lease is not None:
            flow.note_start(self._queue)
        return True

    def _next_id(self) -> int | None:
        if time.monotonic() >= self._until or is_draining():
            return None
        try:
            if self._is_rate_limited and not self._wait_for_permit():
                return None
            # Not all workers count alike, or those that end early would never come to the start
            # that is for an aged row.
            is_for_aged = next(_starts) % AGED_EVERY == os.getpid() % AGED_EVERY
            return window.pop(self._queue.name, aged_first=is_for_aged)
        except redis.RedisError as error:
            logger.warning("pop failed queue=%s error=%s", self._queue.name, error)
            return None

    def _wait_for_permit(self) -> bool:
        """Take a permit of the queue's rate limit; none is wasted on an empty queue."""
        while window.lengths(self._queue.name).total and not is_draining():
            seconds = flow.take_permit(self._queue)
            if seconds == 0:
                return True
            if time.monotonic() + seconds >= self._until:
                return False
            time.sleep(min(seconds, PERMIT_LOOK_SECONDS))
        return False
