"""Rows, states and times that the tests of the outbox begin with."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models.functions import Now

from outbox.delivery import Lease, claim
from outbox.models import Attempt, Outbox, State
from outbox.queues import get_queue
from tests.factories import OutboxFactory

QUEUE = "send_email"


def pending_row(**columns: Any) -> Outbox:
    """A due row of QUEUE for the handler `work`, unless `columns` say otherwise."""
    defaults = {"handler": "work", "event_type": "thing_happened", "queue": QUEUE}
    return OutboxFactory.create(**{**defaults, **columns})


def queued_row(**columns: Any) -> Outbox:
    """The same, handed to Redis a moment ago; its id is on no list."""
    return pending_row(state=State.QUEUED, queued_at=Now(), **columns)


def leased_row(**columns: Any) -> tuple[Outbox, Lease]:
    """The same, claimed by this process."""
    row = queued_row(**columns)
    lease = claim(get_queue(row.queue), row.id)
    assert lease is not None
    return row, lease


def move_time(row: Outbox, column: str, seconds: float) -> None:
    """Set a time of the row to `seconds` from now; negative is the past."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE outbox SET {column} = clock_timestamp() + make_interval(secs => %s)"
            " WHERE id = %s",
            [seconds, row.id],
        )


def seconds_until_due(row: Outbox) -> float:
    """How long the row still has to wait, by PostgreSQL's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM available_at - clock_timestamp()) FROM outbox WHERE id = %s",
            [row.id],
        )
        return float(cursor.fetchone()[0])


def state_of(row: Outbox) -> str:
    return Outbox.objects.values_list("state", flat=True).get(pk=row.pk)


def outcomes(row: Outbox) -> list[tuple[int, str]]:
    """The row's attempts as (number, outcome)."""
    attempts = Attempt.objects.filter(outbox=row).order_by("number")
    return list(attempts.values_list("number", "outcome"))
