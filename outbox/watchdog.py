"""What looks alive and does nothing: for the supervisor, which needs no worker to find out.

A django-q2 cluster can be wedged by the death of one idle worker, and a relay run can be lost with
Redis; their processes look healthy all the while.
"""

from __future__ import annotations

from django.db import connection

from outbox.queues import queues
from outbox.workers import live_workers

# A run ticks every two seconds; this leaves it one missed tick.
RELAY_STALE_SECONDS = 4.0


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
    """Return the queues whose cluster has not brought any worker to a turn lately.

    A cluster gives its workers turns also when there is nothing to do, when its queue is held back
    and when Redis is away. A worker that is busy with a row (its lease runs) is a sign of life too.
    """
    served = {worker.queue for worker in live_workers()}
    return sorted(queues().keys() - served)
