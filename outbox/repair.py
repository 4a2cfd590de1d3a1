"""Taking back rows whose id got lost in Redis, or whose worker died."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from outbox import window
from outbox.endings import announce_death
from outbox.models import Outbox, Outcome, State
from outbox.registry import Message, find_handler

logger = logging.getLogger(__name__)

# A queued id is missed once it is on no list and nobody has leased its row for this long: a
# worker leases what it has popped at once.
LOST_SECONDS = 2
EXPIRE_BATCH = 100


def unqueue(row_ids: list[int], *, queued_for: float = 0.0) -> int:
    """Send rows that have been queued for so many seconds, and that nobody has claimed in the
    meantime, back to `pending`; return how many."""
    free = Outbox.objects.select_for_update(skip_locked=True).filter(
        id__in=row_ids, state=State.QUEUED
    )
    if queued_for:
        free = free.filter(queued_at__lt=Now() - timedelta(seconds=queued_for))
    with transaction.atomic():
        return Outbox.objects.filter(id__in=free.values("id")).update(
            state=State.PENDING, queued_at=None
        )


def overdue_queues() -> list[str]:
    """Return the queues with rows that were queued some time ago and not leased: some may be lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT queue FROM outbox WHERE state = 'queued'
            AND queued_at < statement_timestamp() - make_interval(secs => %s)
            """,
            [LOST_SECONDS],
        )
        return [row[0] for row in cursor.fetchall()]


def recover_lost(queue: str) -> int:
    """Send queued rows whose ids Redis no longer has back to `pending`; return how many.

    This uses no attempt. An id that was popped and not leased yet looks lost too: then the row is
    queued twice, and the second claim fails. Raises `redis.RedisError`.
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
    # Another relay may have queued some of them anew.
    lost = unqueue(sorted(overdue - window.ids(queue)), queued_for=LOST_SECONDS)
    if lost:
        logger.warning("recovered queue=%s rows=%d", queue, lost)
    return lost


# The row is taken back and the attempt of its dead worker noted in one statement.
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
                  handler, state, queue, worker, started_at
    ), noted AS (
        INSERT INTO outbox_attempt (outbox_id, queue, number, worker, started_at, ended_at,
                                    outcome, error_class, error_message)
        SELECT id, queue, attempt_count, worker, started_at, statement_timestamp(),
               %(outcome)s, 'LeaseExpired', %(message)s FROM ended
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
