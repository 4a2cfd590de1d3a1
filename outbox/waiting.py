"""Why is it waiting? The one answer for every row that is not finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from outbox import flow, workers
from outbox.models import UNFINISHED_STATES, Outbox, State
from outbox.queues import queues

# Counting stops here: nobody needs to know how many more there are.
MAX_AHEAD = 1_000


class Cause(TextChoices):
    NO_QUEUE = "no_queue", _("its queue does not exist any more")
    LEASED = "leased", _("a worker is at it")
    LEASE_EXPIRED = "lease_expired", _("its worker is gone; the relay will take it back")
    PAUSED = "paused", _("the queue is paused")
    BREAKER_OPEN = "breaker_open", _("the circuit breaker is open; next probe")
    BACKING_OFF = "backing_off", _("backs off after a failed attempt until")
    NOT_DUE = "not_due", _("is not due until")
    NO_WORKER = "no_worker", _("no live worker on this queue")
    BEHIND = "behind", _("rows that start before it")
    NEXT = "next", _("starts next")


@dataclass(frozen=True)
class Reason:
    """A cause with what belongs to it: a time (since or until, UTC), a worker, or a count."""

    cause: Cause
    at: datetime | None = None
    worker: str = ""
    ahead: int = 0

    @property
    def has_more_ahead(self) -> bool:
        """Whether `ahead` is only where the counting stopped."""
        return self.ahead > MAX_AHEAD


# How many rows of the same queue start before it: due, and more urgent or earlier. What waits is
# read from its indexes, and not further than the limit.
AHEAD = """
    SELECT mine.id, mine.available_at > statement_timestamp(),
        mine.lease_expires_at < statement_timestamp(),
        (SELECT count(*) FROM (
            (SELECT FROM outbox AS other WHERE other.state = 'queued' AND other.queue = mine.queue
                AND (other.priority, other.available_at, other.id)
                    < (mine.priority, mine.available_at, mine.id) LIMIT %(limit)s)
            UNION ALL
            (SELECT FROM outbox AS other WHERE other.state = 'pending' AND other.queue = mine.queue
                AND other.available_at <= statement_timestamp()
                AND (other.priority, other.available_at, other.id)
                    < (mine.priority, mine.available_at, mine.id) LIMIT %(limit)s)
        ) AS ahead)
    FROM outbox AS mine WHERE mine.id = ANY(%(ids)s)
"""


def why_waiting(rows: Sequence[Outbox]) -> dict[int, Reason]:
    """Return by id why each of the rows that is not finished waits; finished ones are left out.

    Three queries, however many rows.
    """
    unfinished = [row for row in rows if row.state in UNFINISHED_STATES]
    if not unfinished:
        return {}
    holds = flow.holds()
    served = {worker.queue for worker in workers.live_workers()}
    with connection.cursor() as cursor:
        ids = [row.pk for row in unfinished]
        cursor.execute(AHEAD, {"ids": ids, "limit": MAX_AHEAD + 1})
        facts = {row_id: _Facts(*columns) for row_id, *columns in cursor.fetchall()}
    return {
        row.pk: _reason(row, facts[row.pk], holds.get(row.queue), row.queue in served)
        for row in unfinished
        if row.pk in facts
    }


@dataclass(frozen=True)
class _Facts:
    """What only PostgreSQL's clock and indexes can tell about a row."""

    is_early: bool
    is_expired: bool | None
    ahead: int


def _reason(row: Outbox, facts: _Facts, hold: flow.Hold | None, is_served: bool) -> Reason:
    if row.queue not in queues():
        return Reason(Cause.NO_QUEUE)
    if row.state == State.PROCESSING:
        cause = Cause.LEASE_EXPIRED if facts.is_expired else Cause.LEASED
        return Reason(cause, at=row.started_at, worker=row.worker)
    if hold and hold.paused_at:
        return Reason(Cause.PAUSED, at=hold.paused_at)
    if facts.is_early:
        cause = Cause.BACKING_OFF if row.attempt_count else Cause.NOT_DUE
        return Reason(cause, at=row.available_at)
    if hold:
        return Reason(Cause.BREAKER_OPEN, at=hold.probe_at)
    if not is_served:
        return Reason(Cause.NO_WORKER)
    if facts.ahead:
        return Reason(Cause.BEHIND, ahead=facts.ahead)
    return Reason(Cause.NEXT)
