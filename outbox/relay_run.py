"""One run of the relay: it ticks until a younger run has taken over.

django-q2 starts a run every minute; runs overlap, so that there is no gap between two of them.
A run waits on PostgreSQL's notifications, so that it ticks at the commit that wrote a row, and at
least every `TICK_SECONDS` whatever happens.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import timedelta

import redis
from django.db import DatabaseError, InterfaceError, connection
from django.db.models.functions import Now

from outbox import broker, relay
from outbox.draining import is_draining
from outbox.models import RelayRun
from outbox.wake_up import WakeUp
from outbox.workers import worker_name

logger = logging.getLogger(__name__)

TICK_SECONDS = 2.0
# Between ticks while due rows are left over: the windows hold work for longer than this.
BACKLOG_SECONDS = 0.25
# Between ticks while a window runs dry all the same: it is being widened. And at least this
# otherwise: a row that can't be moved just now is due all the time.
DRY_SECONDS = 0.02
ERROR_SECONDS = 0.5
REPAIR_SECONDS = 1.0
OBSERVE_SECONDS = 10.0
# From this age on a run ends once a younger one ticks; past the second age it enqueues one itself.
RUN_SECONDS = 60.0
OVERDUE_SECONDS = 120.0
KEEP_RUNS = timedelta(hours=1)


def run() -> None:
    """Tick until a younger run has taken over or the cluster stops."""
    current = Run()
    logger.info("relay run started id=%s", current.id)
    with WakeUp() as wake_up:
        while not is_draining():
            pause = current.step()
            if pause is None:
                break
            wake_up.wait(pause)
    logger.info("relay run ended id=%s", current.id)


class Run:
    """The steps of one run; `run` only loops over them."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self._relay = relay.Relay()
        self._repair_due = 0.0
        self._observe_due = 0.0
        self._called_successor = False
        RelayRun.objects.filter(ticked_at__lt=Now() - KEEP_RUNS).delete()
        RelayRun.objects.create(id=self.id, worker=worker_name())

    def step(self) -> float | None:
        """Do one round; return the seconds that may pass until the next, or None when it is over."""
        try:
            tick = self._relay.tick()
            if self._note_tick():
                return None
            self._maintain()
            if tick.has_backlog:
                return DRY_SECONDS if tick.ran_dry else BACKLOG_SECONDS
            return max(relay.next_due_seconds(at_most=TICK_SECONDS), DRY_SECONDS)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("tick failed error=%s", error)
            connection.close()
            return ERROR_SECONDS

    def _maintain(self) -> None:
        """Repair and observe when it is time; one that fails has its turn again later."""
        now = time.monotonic()
        if now >= self._repair_due:
            self._repair_due = now + REPAIR_SECONDS
            self._relay.repair()
        if now >= self._observe_due:
            self._observe_due = now + OBSERVE_SECONDS
            self._relay.observe()

    def _note_tick(self) -> bool:
        """Record that this run lives; return whether a younger one has taken over."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
                UPDATE outbox_relay_run AS mine SET ticked_at = clock_timestamp()
                FROM relaxed WHERE id = %s
                RETURNING extract(epoch FROM clock_timestamp() - started_at), EXISTS (
                    SELECT FROM outbox_relay_run AS younger
                    WHERE younger.started_at > mine.started_at
                    AND younger.ticked_at > clock_timestamp() - make_interval(secs => %s))
                """,
                [self.id, 2 * TICK_SECONDS],
            )
            row = cursor.fetchone()
        if row is None:  # swept: this run was suspended for longer than runs are kept
            return True
        age, has_successor = float(row[0]), bool(row[1])
        if age > OVERDUE_SECONDS and not has_successor:
            self._call_successor()
        return has_successor and age > RUN_SECONDS

    def _call_successor(self) -> None:
        """Enqueue the next run ourselves: the schedule is broken or django-q2's scheduler is."""
        if self._called_successor:
            return
        try:
            broker.enqueue_relay_run()
        except redis.RedisError as error:
            logger.warning("redis is away error=%s", error)
        else:
            self._called_successor = True
