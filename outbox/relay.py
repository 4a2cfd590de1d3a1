"""The relay: moves due rows to the queues, and sees to it that nothing is stuck or lost.

Every step is one short transaction that claims with SKIP LOCKED, so any number of relays may run.
None of them holds a transaction while it talks to Redis.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta

import redis
from django.db import connection, transaction
from django.db.models.functions import Now

from outbox import conservation, flow, measure, window, workers
from outbox.models import Outbox, Priority, State
from outbox.queues import get_queue, queues
from outbox.repair import expire_leases, overdue_queues, recover_lost, unqueue

logger = logging.getLogger(__name__)

# The window in Redis: about this much of the measured drain, between these bounds.
WINDOW_SECONDS = 2
WINDOW_MIN = 10
WINDOW_MAX = 2_000
# A row that has been due for longer is aged: it may also start on the share of the aged rows,
# which is every `AGED_EVERY`th start of each worker, oldest first. So however much urgent work
# there is, a row starts at the latest after AGED_SECONDS, REPAIR_SECONDS, and for itself and each
# older row AGED_EVERY starts of each worker.
AGED_SECONDS = 60.0
AGED_EVERY = 10
JUST_DUE_SECONDS = 0.1


@dataclass(frozen=True)
class Tick:
    """What a round did: how many rows it moved, whether due rows may be left over, and whether a
    window had run dry although there were some."""

    moved: int
    has_backlog: bool
    ran_dry: bool


@dataclass
class Relay:
    """The rounds of one relay; it remembers how large each queue's window may be, and which queues
    may have due rows left over."""

    windows: dict[str, int] = field(default_factory=dict)
    _left_over: set[str] = field(default_factory=set)

    def tick(self) -> Tick:
        """Fill every queue's window with due rows; empty that of a queue that is held back."""
        total, ran_dry = 0, False
        left_over: set[str] = set()
        holds = flow.holds()
        for queue in queues():
            try:
                if queue in holds:
                    withdraw(queue, holds[queue])
                    continue
                lengths = window.lengths(queue)
                if queue in self._left_over and lengths.total < self._window(queue) // 2:
                    self._widen(queue)
                    ran_dry = True
                room, priority = _room(lengths, self._window(queue))
            except redis.RedisError as error:
                logger.warning("redis is away queue=%s error=%s", queue, error)
                continue
            moved = move_due(queue, limit=room, priority=priority) if room else 0
            total += moved
            if moved >= room or priority < Priority.LOW:
                left_over.add(queue)
                ran_dry = ran_dry or queue not in self._left_over  # not known yet: look again soon
        self._left_over = left_over
        return Tick(moved=total, has_backlog=bool(left_over), ran_dry=ran_dry)

    def repair(self) -> None:
        """Take back what died or got lost; where rows are left over, size the window by the drain
        and see to the aged ones. Once a second is enough."""
        expire_leases()
        try:
            overdue = overdue_queues()
            for queue in overdue:
                recover_lost(queue)
            for queue in self._left_over:
                drained = measure.attempts_ended(queue, seconds=WINDOW_SECONDS)
                self.windows[queue] = max(WINDOW_MIN, min(drained, WINDOW_MAX))
            for queue in self._left_over.union(overdue):
                share_with_aged(queue, size=self._window(queue) // AGED_EVERY)
        except redis.RedisError as error:
            logger.warning("redis is away error=%s", error)

    def observe(self) -> None:
        """Measure the backlog and check what must be 0. A few times a minute is enough."""
        workers.forget_old()
        measure.record_backlog(held=flow.holds().keys())
        conservation.check()

    def _widen(self, queue: str) -> None:
        self.windows[queue] = min(2 * self._window(queue), WINDOW_MAX)

    def _window(self, queue: str) -> int:
        return self.windows.get(queue, WINDOW_MIN)


def _room(lengths: window.Lengths, size: int) -> tuple[int, int]:
    """Return how many rows may be queued, and the least urgent priority that they may have.

    A row finds room while fewer than `size` ids are waiting that are at least as urgent, so a late
    urgent one never waits for the others to be worked off.
    """
    room, least = 0, int(Priority.CRITICAL)
    waiting = 0
    for priority, length in zip(Priority.values, lengths.priorities, strict=True):
        waiting += length
        if waiting >= size:
            break
        room, least = size - waiting, priority
    return room, least


# SKIP LOCKED: another relay takes other rows. The CTE keeps the planner from updating more rows
# than LIMIT says. The commit need not reach the disk: if a crash of PostgreSQL takes it back, the
# rows are pending again, and the claims of their ids fail.
MOVE = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true)),
    due AS MATERIALIZED (
        SELECT id FROM outbox
        WHERE state = 'pending' AND queue = %(queue)s
            AND available_at <= statement_timestamp() - make_interval(secs => %(age)s)
            {urgent_enough}
        ORDER BY {order}
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox SET state = 'queued', queued_at = statement_timestamp()
    FROM due, relaxed WHERE outbox.id = due.id
    RETURNING outbox.id, outbox.priority, outbox.available_at
"""
MOVE_DUE = MOVE.format(
    urgent_enough="AND priority <= %(priority)s", order="priority, available_at, id"
)
# What is critical comes first anyway.
MOVE_AGED = MOVE.format(urgent_enough="AND priority > 0", order="available_at, id")


def move_due(queue: str, *, limit: int, priority: int = Priority.LOW) -> int:
    """Queue up to `limit` due rows, most urgent first, none less urgent than `priority`.

    Returns how many were moved.
    """
    rows = _move(MOVE_DUE, {"queue": queue, "age": 0.0, "priority": priority, "limit": limit})
    rows.sort(key=lambda row: (row[1], row[2], row[0]))
    return _push(queue, [(row_id, priority) for row_id, priority, _ in rows])


def share_with_aged(queue: str, *, size: int) -> None:
    """Fill the list that has the share of the aged rows with the oldest of them, up to `size`.

    First come those whose ids wait on the list of their priority, where more urgent ones pass them
    by. Their ids lie there twice then; the claim of the second fails. Raises `redis.RedisError`.
    """
    there = window.aged_ids(queue)
    room = size - len(there)
    if room <= 0:
        return
    passed_by = Outbox.objects.filter(
        state=State.QUEUED,
        queue=queue,
        priority__gt=Priority.CRITICAL,
        available_at__lte=Now() - timedelta(seconds=AGED_SECONDS),
    ).order_by("available_at", "pk")
    oldest = passed_by.values_list("pk", flat=True)[:size]
    again = [row_id for row_id in oldest if row_id not in there][:room]
    window.push(queue, [(row_id, window.AGED) for row_id in again])
    move_aged(queue, limit=room - len(again))


def move_aged(queue: str, *, limit: int) -> int:
    """Queue up to `limit` rows that have been due for long, on the list that has its own share."""
    if limit == 0:
        return 0
    rows = _move(MOVE_AGED, {"queue": queue, "age": AGED_SECONDS, "limit": limit})
    rows.sort(key=lambda row: (row[2], row[0]))
    return _push(queue, [(row_id, window.AGED) for row_id, _, _ in rows])


def _move(
    statement: str, parameters: dict[str, str | int | float]
) -> list[tuple[int, int, object]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _push(queue: str, ids: list[tuple[int, int | str]]) -> int:
    """Push ids whose rows have been committed as `queued`; return how many.

    In this order a crash in between leaves rows that `recover_lost` finds. The other way round, a
    worker could pop an id whose row it may not claim yet.
    """
    if not ids:
        return 0
    try:
        window.push(queue, ids)
    except redis.RedisError as error:
        logger.warning("push failed queue=%s rows=%d error=%s", queue, len(ids), error)
        unqueue([row_id for row_id, _ in ids])
        return 0
    logger.debug("queued queue=%s rows=%d", queue, len(ids))
    return len(ids)


def withdraw(queue: str, hold: flow.Hold) -> None:
    """Take the rows of a queue that is held back out of Redis; let its probe through if it is due.

    A row that a worker has popped meanwhile is refused by its claim and comes back too.
    """
    queued = Outbox.objects.filter(state=State.QUEUED, queue=queue)
    probe = None if hold.paused_at else hold.probe_row_id
    ids = {*queued.values_list("pk", flat=True)}
    if ids - {probe} and unqueue(sorted(ids - {probe})):
        window.clear(queue)
        if probe is not None and probe in ids:
            window.push(queue, [(probe, Priority.CRITICAL)])
    if not hold.is_probe_due:
        return
    with transaction.atomic():
        rows = _move(MOVE_DUE, {"queue": queue, "age": 0.0, "priority": Priority.LOW, "limit": 1})
        lease_seconds = get_queue(queue).lease_seconds
        if rows and not flow.arm_probe(queue=queue, row_id=rows[0][0], seconds=lease_seconds):
            transaction.set_rollback(True)  # another relay was faster
            rows = []
    _push(queue, [(row_id, priority) for row_id, priority, _ in rows])


def next_due_seconds(*, at_most: float) -> float:
    """Return the seconds until the next waiting row becomes due, or `at_most` if that is sooner.

    A row that has become due since the tick counts too, or it would wait for the longest pause.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT extract(epoch FROM min(available_at) - statement_timestamp()) FROM outbox
            WHERE state = 'pending' AND available_at
                BETWEEN statement_timestamp() - make_interval(secs => %s)
                AND statement_timestamp() + make_interval(secs => %s)
            """,
            [JUST_DUE_SECONDS, at_most],
        )
        (seconds,) = cursor.fetchone() or (None,)
    return at_most if seconds is None else max(float(seconds), 0.0)
