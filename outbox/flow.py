"""What holds a queue back: a pause by staff, an open circuit breaker, a rate limit.

All of it is a row in PostgreSQL, so that it holds for every worker at once and across restarts.
`delivery.CLAIM` looks at pause and breaker itself; a worker of a rate-limited queue takes a permit
for each attempt.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models.functions import Now

from outbox.models import QueueControl
from outbox.queues import CHANNEL, Queue, get_queue

logger = logging.getLogger(__name__)

# So many attempts in a row that found their provider unavailable open the breaker.
BREAKER_FAILURES = 5
# The wait before the first probe; it doubles with each probe that fails.
FIRST_PROBE_SECONDS = 2.0
LONGEST_PROBE_SECONDS = 60.0
MAX_DOUBLINGS = 10
MAX_CAUSE_LENGTH = 500


@dataclass(frozen=True)
class Hold:
    """Why a queue starts nothing; `is_probe_due` when its breaker lets one row through now."""

    paused_at: datetime | None
    opened_at: datetime | None
    probe_at: datetime | None
    probe_row_id: int | None
    is_probe_due: bool


HOLDS = """
    SELECT name, paused_at, opened_at, probe_at, probe_row_id,
           coalesce(paused_at IS NULL AND probe_at <= statement_timestamp(), false)
    FROM outbox_queue WHERE paused_at IS NOT NULL OR opened_at IS NOT NULL
"""


def holds() -> dict[str, Hold]:
    """Return the queues that are paused or whose breaker is open, by name."""
    with connection.cursor() as cursor:
        cursor.execute(HOLDS)
        return {name: Hold(*columns) for name, *columns in cursor.fetchall()}


def pause(*, queue: str, user_id: uuid.UUID | None, reason: str) -> None:
    """Let no attempt of this queue begin any more; those that run end as they would.

    `KeyError` for a queue that does not exist. Pausing again changes who and why.
    """
    get_queue(queue)
    QueueControl.objects.update_or_create(
        name=queue,
        defaults={"paused_at": Now(), "paused_by_id": user_id, "pause_reason": reason},
    )
    logger.warning("paused queue=%s user=%s", queue, user_id)
    _wake_relay()


def resume(*, queue: str, user_id: uuid.UUID | None) -> None:
    """Let attempts of this queue begin again; nothing happens if it is not paused."""
    get_queue(queue)
    QueueControl.objects.filter(name=queue).update(paused_at=None, paused_by=None, pause_reason="")
    logger.warning("resumed queue=%s user=%s", queue, user_id)
    _wake_relay()


def _wake_relay() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


# One row of control per queue serialises the starts, also those of many workers.
PERMIT = """
    INSERT INTO outbox_queue AS control (name, waiting, next_start_at)
    VALUES (%(queue)s, '{}', clock_timestamp() + make_interval(secs => %(interval)s))
    ON CONFLICT (name) DO UPDATE SET next_start_at =
        clock_timestamp() + make_interval(secs => %(interval)s)
    WHERE control.next_start_at IS NULL OR control.next_start_at <= clock_timestamp()
    RETURNING name
"""


def take_permit(queue: Queue) -> float:
    """Take the right to begin one attempt; return 0, or the seconds until there may be one.

    Starts of a rate-limited queue are at least `1 / rate_per_second` apart, whatever waits: a
    provider's limit leaves no room for catching up. So the permit is for a start at once, which
    `note_start` confirms. One that is not used is lost.
    """
    if queue.rate_per_second is None:
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute(PERMIT, {"queue": queue.name, "interval": 1 / queue.rate_per_second})
        if cursor.fetchone():
            return 0.0
        cursor.execute(
            "SELECT extract(epoch FROM next_start_at - clock_timestamp()) FROM outbox_queue"
            " WHERE name = %s",
            [queue.name],
        )
        (seconds,) = cursor.fetchone()
    return max(float(seconds), 0.001)


def note_start(queue: Queue) -> None:
    """Count the distance to the next start from now: claiming took its time since the permit."""
    if queue.rate_per_second is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_queue SET next_start_at = greatest(next_start_at,"
            " clock_timestamp() + make_interval(secs => %s)) WHERE name = %s",
            [1 / queue.rate_per_second, queue.name],
        )


# Of the attempts that fail while the breaker is open only the probe's moves the next probe.
UNAVAILABLE = """
    INSERT INTO outbox_queue AS control (name, waiting, failures, cause)
    VALUES (%(queue)s, '{}', 1, %(cause)s)
    ON CONFLICT (name) DO UPDATE SET
        failures = control.failures + 1,
        cause = excluded.cause,
        failed_probes = control.failed_probes + %(probe)s::int,
        opened_at = coalesce(control.opened_at, CASE
            WHEN control.failures + 1 >= %(threshold)s THEN clock_timestamp() END),
        probe_row_id = CASE WHEN NOT %(probe)s THEN control.probe_row_id END,
        probe_at = CASE
            WHEN control.opened_at IS NOT NULL AND NOT %(probe)s THEN control.probe_at
            WHEN control.failures + 1 >= %(threshold)s OR %(probe)s
                THEN clock_timestamp() + make_interval(secs => greatest(%(retry_after)s, least(
                    %(first)s * 2.0 ^ least(control.failed_probes + %(probe)s::int, %(doublings)s),
                    %(longest)s))) END
    RETURNING failures = %(threshold)s
"""


def note_unavailable(queue: str, *, cause: str, probe: bool, retry_after_seconds: float) -> None:
    """Count an attempt that found its provider unavailable; open the breaker at the fifth in a row.

    Called in the transaction that ends the attempt.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            UNAVAILABLE,
            {
                "queue": queue,
                "cause": cause[:MAX_CAUSE_LENGTH],
                "probe": probe,
                "threshold": BREAKER_FAILURES,
                "retry_after": retry_after_seconds,
                "first": FIRST_PROBE_SECONDS,
                "longest": LONGEST_PROBE_SECONDS,
                "doublings": MAX_DOUBLINGS,
            },
        )
        (opened,) = cursor.fetchone()
    if opened:
        logger.warning("breaker opened queue=%s", queue)


def note_available(queue: str, *, probe: bool) -> None:
    """Forget the failures in a row: an attempt ended otherwise than unavailable. Only a probe
    closes a breaker that is open: other attempts began before it opened.

    Called in the transaction that ends the attempt.
    """
    controls = QueueControl.objects.filter(name=queue)
    if not probe:
        controls.filter(opened_at=None).update(failures=0, cause="")
        return
    controls.update(
        failures=0, opened_at=None, probe_at=None, probe_row_id=None, failed_probes=0, cause=""
    )
    logger.warning("breaker closed queue=%s", queue)
    _wake_relay()


def arm_probe(*, queue: str, row_id: int, seconds: float) -> bool:
    """Let this one row be claimed although the breaker is open; the next probe is `seconds` away.

    Returns False if no probe is due (any more). If the probe gets lost with its worker, the next one
    takes its place.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_queue SET probe_row_id = %s,"
            " probe_at = clock_timestamp() + make_interval(secs => %s)"
            " WHERE name = %s AND opened_at IS NOT NULL AND probe_at <= clock_timestamp()",
            [row_id, seconds, queue],
        )
        return bool(cursor.rowcount)
