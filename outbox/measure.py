"""How fast a queue drains and how much waits in it: the size of windows, admission, and why a row
waits all rest on these two numbers."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from outbox.models import Priority, QueueControl
from outbox.queues import queues

SAMPLE_SECONDS = 10
# A queue with fewer rows waiting than this, or than one second's work, has not enough to do.
BUSY_ROWS = 10
# The share of a new sample in the remembered drain: it follows a change within about a minute.
SAMPLE_SHARE = 0.2


def attempts_ended(queue: str, *, seconds: int) -> int:
    """Return how many attempts of this queue ended in the last `seconds`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM outbox_attempt WHERE queue = %s"
            " AND ended_at > statement_timestamp() - make_interval(secs => %s)",
            [queue, seconds],
        )
        (ended,) = cursor.fetchone() or (0,)
    return int(ended)


def waiting_by_priority() -> dict[str, list[int]]:
    """Return by queue how many due rows wait for a worker, most urgent priority first.

    Counts what waits, so it grows with the backlog, but not with what was delivered.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT queue, priority, count(*) FROM outbox
            WHERE state = 'pending' AND available_at <= statement_timestamp()
            GROUP BY queue, priority
            UNION ALL
            SELECT queue, priority, count(*) FROM outbox WHERE state = 'queued'
            GROUP BY queue, priority
            """
        )
        waiting: dict[str, list[int]] = {}
        for queue, priority, count in cursor.fetchall():
            waiting.setdefault(queue, [0] * len(Priority))[priority] += count
    return waiting


# The drain is how fast a queue can be worked off, so it is remembered from when there was enough
# to do: not from a queue that was empty, held back, or without workers.
RECORD = """
    INSERT INTO outbox_queue AS control (name, waiting, drain_per_second, measured_at)
    VALUES (%(queue)s, %(waiting)s::int[], nullif(%(sample)s::float8, 0), statement_timestamp())
    ON CONFLICT (name) DO UPDATE SET
        waiting = excluded.waiting,
        measured_at = excluded.measured_at,
        drain_per_second = CASE WHEN %(sample)s::float8 = 0 THEN control.drain_per_second
            ELSE coalesce(control.drain_per_second, %(sample)s::float8) * (1 - %(share)s::float8)
                + %(sample)s::float8 * %(share)s::float8 END
"""


def record_backlog(*, held: Collection[str]) -> None:
    """Note for every queue what waits and, unless it is one of `held`, how fast it drains."""
    waiting = waiting_by_priority()
    # Also a queue that the settings no longer have: what waits there is what gauges.py looks for.
    known = {*queues(), *waiting, *QueueControl.objects.values_list("name", flat=True)}
    for queue in sorted(known):
        counts = waiting.get(queue, [0] * len(Priority))
        sample = 0.0
        if queue not in held and sum(counts) >= BUSY_ROWS:
            ended = attempts_ended(queue, seconds=SAMPLE_SECONDS) / SAMPLE_SECONDS
            sample = ended if sum(counts) >= ended else 0.0
        with connection.cursor() as cursor:
            cursor.execute(
                RECORD,
                {"queue": queue, "waiting": counts, "sample": sample, "share": SAMPLE_SHARE},
            )
