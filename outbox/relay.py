"""The relay: moves due rows to the queues, and takes back what died or got lost on the way.

Every step is one short transaction that claims with SKIP LOCKED, so any number of relays may run.
None of them holds a transaction while it talks to Redis.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import redis
from django.db import connection, transaction

from outbox import window
from outbox.delivery import announce_death
from outbox.models import Outbox, Outcome, State
from outbox.queues import queues
from outbox.registry import Message, find_handler

logger = logging.getLogger(__name__)

# The window in Redis: about this much of the measured drain, between these bounds.
WINDOW_SECONDS = 2
WINDOW_MIN = 10
WINDOW_MAX = 1_000
DRAIN_SAMPLE_SECONDS = 10
# A queued id is missed once it is on no list and nobody has leased its row for this long. It must
# exceed the time that a popped id waits inside django-q2 for its worker.
LOST_SECONDS = 5
EXPIRE_BATCH = 100
JUST_DUE_SECONDS = 0.1


@dataclass(frozen=True)
class Tick:
    """What a round did: how many rows it moved, and whether due rows may be left over."""

    moved: int
    backlog: bool


@dataclass
class Relay:
    """The rounds of one relay; it remembers only how large each queue's window may be."""

    windows: dict[str, int] = field(default_factory=dict)

    def tick(self) -> Tick:
        """Fill every queue's window with due rows."""
        total, backlog = 0, False
        for queue in queues():
            try:
                room = self.windows.get(queue, WINDOW_MIN) - window.length(queue)
            except redis.RedisError as error:
                logger.warning("redis is away queue=%s error=%s", queue, error)
                continue
            moved = move_due(queue, limit=room) if room > 0 else 0
            total += moved
            backlog = backlog or moved >= room
        return Tick(moved=total, backlog=backlog)

    def repair(self) -> None:
        """Take back what died or got lost, and measure the drain. Once a second is enough."""
        expire_leases()
        for queue in queues():
            self.windows[queue] = window_size(queue)
            try:
                recover_lost(queue)
            except redis.RedisError as error:
                logger.warning("redis is away queue=%s error=%s", queue, error)


def window_size(queue: str) -> int:
    """Return how many ids of this queue may wait in Redis: some seconds' worth of its drain.

    Few enough that a late urgent row, or a lost Redis, never meets a long line of old ids.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM outbox_attempt JOIN outbox ON outbox.id = outbox_id
            WHERE ended_at > statement_timestamp() - make_interval(secs => %s) AND queue = %s
            """,
            [DRAIN_SAMPLE_SECONDS, queue],
        )
        (ended,) = cursor.fetchone() or (0,)
    return max(WINDOW_MIN, min(ended * WINDOW_SECONDS // DRAIN_SAMPLE_SECONDS, WINDOW_MAX))


# SKIP LOCKED: another relay takes other rows. The CTE keeps the planner from updating more rows
# than LIMIT says.
MOVE_DUE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM outbox
        WHERE state = 'pending' AND queue = %s AND available_at <= statement_timestamp()
        ORDER BY priority, available_at, id
        LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox SET state = 'queued', queued_at = statement_timestamp()
    FROM due WHERE outbox.id = due.id
    RETURNING outbox.id, outbox.priority, outbox.available_at
"""


def move_due(queue: str, *, limit: int) -> int:
    """Queue up to `limit` due rows, most urgent first; return how many were moved.

    `queued` is committed before the push: a crash in between leaves a row that `recover_lost`
    finds. The other way round, a worker could pop an id whose row it may not claim yet.
    """
    with connection.cursor() as cursor:
        cursor.execute(MOVE_DUE, [queue, limit])
        rows = cursor.fetchall()
    if not rows:
        return 0
    rows.sort(key=lambda row: (row[1], row[2], row[0]))
    try:
        window.push(queue, [(row_id, priority) for row_id, priority, _ in rows])
    except redis.RedisError as error:
        logger.warning("push failed queue=%s rows=%d error=%s", queue, len(rows), error)
        _unqueue([row[0] for row in rows])
        return 0
    logger.debug("queued queue=%s rows=%d", queue, len(rows))
    return len(rows)


def _unqueue(row_ids: list[int]) -> int:
    """Send rows that nobody has claimed in the meantime back to `pending`."""
    free = Outbox.objects.select_for_update(skip_locked=True).filter(
        id__in=row_ids, state=State.QUEUED
    )
    with transaction.atomic():
        return Outbox.objects.filter(id__in=free.values("id")).update(
            state=State.PENDING, queued_at=None
        )


def recover_lost(queue: str) -> int:
    """Send queued rows whose ids Redis no longer has back to `pending`; return how many.

    This uses no attempt. A popped id that still waits for a busy worker looks lost too: then the
    row is queued twice, and the second claim fails. Raises `redis.RedisError`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM outbox WHERE state = 'queued' AND queue = %s
            AND queued_at < statement_timestamp() - make_interval(secs => %s)
            """,
            [queue, LOST_SECONDS],
        )
        overdue = {row[0] for row in cursor.fetchall()}
    if not overdue:
        return 0
    # The lists are read after the rows: an id pushed in between can't be taken for lost.
    lost = _unqueue(sorted(overdue - window.ids(queue)))
    if lost:
        logger.warning("recovered queue=%s rows=%d", queue, lost)
    return lost


# The row and the attempt that its dead worker left open end in one statement.
EXPIRE = """
    WITH expired AS MATERIALIZED (
        SELECT id FROM outbox
        WHERE state = 'processing' AND lease_expires_at < statement_timestamp()
        ORDER BY lease_expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), ended AS (
        UPDATE outbox SET
            state = CASE WHEN attempt_count < max_attempts THEN 'pending' ELSE 'dead' END,
            dead_reason = CASE WHEN attempt_count < max_attempts THEN '' ELSE 'stalled' END,
            finished_at = CASE WHEN attempt_count < max_attempts THEN NULL
                ELSE statement_timestamp() END,
            available_at = statement_timestamp(),
            lease_token = NULL
        FROM expired WHERE outbox.id = expired.id
        RETURNING outbox.id, event_type, payload, aggregate_id, attempt_count, request_id,
                  handler, state
    ), closed AS (
        UPDATE outbox_attempt SET ended_at = statement_timestamp(), outcome = %(outcome)s,
            error_class = 'LeaseExpired', error_message = %(message)s
        FROM ended WHERE outbox_id = ended.id AND number = ended.attempt_count
    )
    SELECT id, event_type, payload, aggregate_id, attempt_count, request_id, handler, state
    FROM ended
"""


def expire_leases() -> int:
    """Take back rows whose worker died or hangs: to wait again, or dead when attempts are used up.

    Returns how many rows were taken back.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            EXPIRE,
            {
                "limit": EXPIRE_BATCH,
                "outcome": Outcome.LEASE_EXPIRED.value,
                "message": "The worker did not come back before its lease ended.",
            },
        )
        rows = cursor.fetchall()
        for *columns, handler_name, state in rows:
            message = Message.from_columns(columns)
            logger.warning("lease expired row=%d attempt=%d", message.id, message.attempt)
            if state == State.DEAD:
                announce_death(find_handler(handler_name), message)
    return len(rows)


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
