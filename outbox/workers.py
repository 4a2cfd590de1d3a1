"""Signs of life of the workers.

A worker gives one whenever it takes a task, and its cluster sends it one every few seconds even
when there is no work: so a worker that is not seen is dead, or can't be reached by its cluster.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

# How often a cluster without work sends its workers a task all the same.
PING_SECONDS = 2.0
# A busy worker says so not more often than this.
BEAT_SECONDS = 1.0
# Not seen for longer than this, and without a lease that runs, a worker counts as gone.
LIVE_SECONDS = 3 * PING_SECONDS
KEEP_SECONDS = 3600.0

_last_beat = float("-inf")


@dataclass(frozen=True)
class LiveWorker:
    """A worker and the row that it works on, if it does."""

    name: str
    queue: str
    seen_at: datetime
    row_id: int | None
    busy_since: datetime | None


def worker_name() -> str:
    """Return the name that this worker leaves on rows and attempts: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


# A sign of life that a crash of PostgreSQL takes away is followed by the next one: no need to
# wait for the disk.
BEAT = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO outbox_worker (name, queue) SELECT %s, %s FROM relaxed
    ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, queue = excluded.queue
"""


def beat(queue: str) -> None:
    """Note that this worker lives and serves `queue`, unless it did so a moment ago."""
    global _last_beat
    if time.monotonic() - _last_beat < BEAT_SECONDS:
        return
    with connection.cursor() as cursor:
        cursor.execute(BEAT, [worker_name(), queue])
    _last_beat = time.monotonic()


# The rows under lease are few: an index holds them alone.
LIVE = """
    SELECT coalesce(worker.name, busy.worker), coalesce(worker.queue, busy.queue),
           coalesce(worker.seen_at, busy.started_at), busy.id, busy.started_at
    FROM (SELECT * FROM outbox_worker
          WHERE seen_at > statement_timestamp() - make_interval(secs => %s)) AS worker
    FULL JOIN (SELECT id, worker, queue, started_at FROM outbox
          WHERE state = 'processing' AND lease_expires_at > statement_timestamp()) AS busy
        ON busy.worker = worker.name
    ORDER BY 2, 1
"""


def live_workers() -> list[LiveWorker]:
    """Return the workers that were seen lately or hold a lease, by queue and name."""
    with connection.cursor() as cursor:
        cursor.execute(LIVE, [LIVE_SECONDS])
        return [LiveWorker(*row) for row in cursor.fetchall()]


def forget_old() -> None:
    """Delete what is left of workers that have long ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM outbox_worker"
            " WHERE seen_at < statement_timestamp() - make_interval(secs => %s)",
            [KEEP_SECONDS],
        )
