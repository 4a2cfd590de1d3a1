"""Rows, states and times that the tests of the outbox begin with."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models.functions import Now

from outbox.delivery import Lease, claim
from outbox.models import Attempt, Outbox, QueueControl, State, Worker
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
    return row, lease_of(row)


def lease_of(row: Outbox) -> Lease:
    """Claim a queued row."""
    lease = claim(get_queue(row.queue), row.id)
    assert lease is not None
    return lease


def move_time(row: Outbox, column: str, seconds: float) -> None:
    """Set a time of the row to `seconds` from now; negative is the past."""
    _set_time("outbox", "id", row.id, column, seconds)


def hold_back(queue: str = QUEUE, **columns: Any) -> QueueControl:
    """Write what holds the queue back, or how it was measured."""
    control, _ = QueueControl.objects.update_or_create(name=queue, defaults=columns)
    control.refresh_from_db()
    return control


def open_breaker(*, probe_in: float = 60, queue: str = QUEUE, **columns: Any) -> QueueControl:
    """Open the breaker of the queue; its next probe is due in `probe_in` seconds."""
    hold_back(queue, **{"failures": 5, "opened_at": Now(), "cause": "away", **columns})
    move_control_time("probe_at", probe_in, queue=queue)
    return control_of(queue)


def move_control_time(column: str, seconds: float, *, queue: str = QUEUE) -> None:
    """Set a time of the queue's control row to `seconds` from now."""
    _set_time("outbox_queue", "name", queue, column, seconds)


def control_of(queue: str = QUEUE) -> QueueControl:
    return QueueControl.objects.get(pk=queue)


def seen_worker(name: str, queue: str = QUEUE, *, seconds: float = 0) -> None:
    """As if a worker had given its last sign of life `seconds` from now."""
    Worker.objects.create(name=name, queue=queue)
    _set_time("outbox_worker", "name", name, "seen_at", seconds)


def end_attempts(count: int, *, queue: str = QUEUE, seconds_ago: float = 1) -> None:
    """As if `count` attempts of a queue had ended some seconds ago."""
    row = pending_row(queue=queue, state=State.DELIVERED)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO outbox_attempt
                (outbox_id, queue, number, worker, outcome, started_at, ended_at)
            SELECT %s, %s, number, '', 'succeeded', clock_timestamp(),
                clock_timestamp() - make_interval(secs => %s)
            FROM generate_series(1, %s) AS number
            """,
            [row.id, queue, seconds_ago, count],
        )


def _set_time(table: str, key_column: str, key: int | str, column: str, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {column} = clock_timestamp() + make_interval(secs => %s)"
            f" WHERE {key_column} = %s",
            [seconds, key],
        )


def seconds_put_off(row: Outbox) -> float:
    """How long after the end of its last attempt the row is due again."""
    row.refresh_from_db()
    return (row.available_at - row.attempts.order_by("-number")[0].ended_at).total_seconds()


def seconds_until(table: str, key_column: str, key: int | str, column: str) -> float:
    """How far a time of a row is in the future, by PostgreSQL's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT extract(epoch FROM {column} - clock_timestamp()) FROM {table}"
            f" WHERE {key_column} = %s",
            [key],
        )
        return float(cursor.fetchone()[0])


def state_of(row: Outbox) -> str:
    return Outbox.objects.values_list("state", flat=True).get(pk=row.pk)


def outcomes(row: Outbox) -> list[tuple[int, str]]:
    """The row's attempts as (number, outcome)."""
    attempts = Attempt.objects.filter(outbox=row).order_by("number")
    return list(attempts.values_list("number", "outcome"))
