"""What looks alive and does nothing: for the supervisor, which needs no worker to find out.

A django-q2 cluster can be wedged by the death of one idle worker, and a relay run can be lost with
Redis; their processes look healthy all the while.
"""

from __future__ import annotations

from django.db import connection

# A run ticks every two seconds; this leaves it one missed tick.
RELAY_STALE_SECONDS = 4.0
# A worker that is free starts a due row within milliseconds.
STUCK_SECONDS = 8.0


def relay_is_stale() -> bool:
    """Tell whether no run of the relay has ticked lately."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT NOT EXISTS (SELECT FROM outbox_relay_run
                WHERE ticked_at > statement_timestamp() - make_interval(secs => %s))
            """,
            [RELAY_STALE_SECONDS],
        )
        (stale,) = cursor.fetchone() or (True,)
    return bool(stale)


def stuck_queues() -> list[str]:
    """Return the queues where queued work waits although no worker has done anything lately.

    A worker that is busy with a row (its lease runs) means that the queue moves. Rows that are due
    but not queued say that the relay or Redis is away, which is not the fault of the queue.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT queue FROM outbox AS waiting
            WHERE state = 'queued'
            AND available_at < statement_timestamp() - make_interval(secs => %(stuck)s)
            AND NOT EXISTS (SELECT FROM outbox AS busy
                WHERE busy.state = 'processing' AND busy.queue = waiting.queue
                AND busy.lease_expires_at > statement_timestamp())
            AND NOT EXISTS (SELECT FROM outbox_attempt JOIN outbox AS done ON done.id = outbox_id
                WHERE done.queue = waiting.queue
                AND ended_at > statement_timestamp() - make_interval(secs => %(stuck)s))
            """,
            {"stuck": STUCK_SECONDS},
        )
        return sorted(row[0] for row in cursor.fetchall())
