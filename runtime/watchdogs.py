"""What looks alive and does nothing is helped: a relay that does not tick, a wedged cluster.

The death of one idle worker can wedge a django-q2 cluster for ever, and a relay run can be lost
with Redis, while all their processes look healthy.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import redis
from django.db import close_old_connections

from outbox import watchdog
from outbox.queues import RELAY_CLUSTER
from runtime.supervisor import Supervisor, Watchdog

logger = logging.getLogger(__name__)

# A cluster that has just started is still loading.
START_SECONDS = 15.0
# How long a new relay run is given to tick before the relay's cluster is restarted.
RELAY_GRACE_SECONDS = 8.0
# Looks in a row, two seconds apart. After an outage of the database the first ones find old signs
# of life; a healthy worker gives a new one every `workers.PING_SECONDS`.
STUCK_LOOKS = 3


class RelayWatchdog:
    """Enqueues another run of the relay when none ticks; restarts its cluster if that is no help."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stale_since: float | None = None

    def __call__(self, supervisor: Supervisor) -> None:
        close_old_connections()
        if supervisor.seconds_running(RELAY_CLUSTER) < START_SECONDS:
            return
        if not watchdog.relay_is_stale():
            self._stale_since = None
        elif self._stale_since is None:
            self._stale_since = self._clock()
            self._enqueue_run()
        elif self._clock() - self._stale_since > RELAY_GRACE_SECONDS:
            supervisor.restart(RELAY_CLUSTER, reason="it does not tick")
            self._stale_since = None

    def _enqueue_run(self) -> None:
        from outbox import broker  # noqa: PLC0415 - django-q2 needs the settings at import

        logger.warning("the relay does not tick: enqueueing a run")
        try:
            broker.enqueue_relay_run()
        except redis.RedisError as error:
            logger.warning("redis is away error=%s", error)
            self._stale_since = None


class QueueWatchdog:
    """Restarts the cluster of a queue when none of its workers gives a sign of life."""

    def __init__(self) -> None:
        self._looks: dict[str, int] = {}

    def __call__(self, supervisor: Supervisor) -> None:
        close_old_connections()
        looks, self._looks = self._looks, {}  # empty again if the database does not answer
        for queue in watchdog.stuck_queues():
            if queue not in supervisor.names or supervisor.seconds_running(queue) < START_SECONDS:
                continue
            if looks.get(queue, 0) + 1 < STUCK_LOOKS:
                self._looks[queue] = looks.get(queue, 0) + 1
            else:
                supervisor.restart(queue, reason="its workers give no sign of life")


def watchdogs() -> list[Watchdog]:
    """Return the watchdogs of a new supervisor."""
    return [RelayWatchdog(), QueueWatchdog()]
