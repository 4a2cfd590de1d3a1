"""Many rows at once, and what became of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection

from outbox.models import Attempt, Outbox, Priority, RelayRun, State
from tests.integration.concurrently import ask
from tests.waiting import wait_until

QUEUE = "verify_document"
# Clusters load Django and fork before they do anything.
PATIENCE = 30.0

# As `publish` does: the relay wakes at the commit.
INSERT = """
    WITH inserted AS (
        INSERT INTO outbox (event_type, handler, queue, priority, payload, request_id,
                            max_attempts, available_at)
        SELECT 'thing_happened', %s, %s, %s, '{}', '', 3,
            statement_timestamp() + make_interval(secs => %s)
        FROM generate_series(1, %s)
        RETURNING id
    )
    SELECT id, pg_notify('outbox', '') FROM inserted ORDER BY id
"""


def insert_rows(
    count: int,
    *,
    handler: str = "do_nothing",
    queue: str = QUEUE,
    priority: int = Priority.NORMAL,
    due_in: float = 0.0,
) -> list[int]:
    """Commit rows that are due in so many seconds (negative: since); return their ids."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [handler, queue, priority, due_in, count])
        return [row[0] for row in cursor.fetchall()]


def delivered() -> int:
    return Outbox.objects.filter(state=State.DELIVERED).count()


def all_delivered(ids: Collection[int]) -> bool:
    return not Outbox.objects.filter(id__in=ids).exclude(state=State.DELIVERED).exists()


def attempts_of(ids: Collection[int]) -> list[tuple[int, int, str]]:
    """The attempts of these rows as (row, number, outcome)."""
    attempts = Attempt.objects.filter(outbox__in=ids).order_by("outbox_id", "number")
    return list(attempts.values_list("outbox_id", "number", "outcome"))


def one_success_each(ids: Collection[int]) -> list[tuple[int, int, str]]:
    """What `attempts_of` gives when each row was delivered by its only attempt."""
    return [(row_id, 1, "succeeded") for row_id in sorted(ids)]


def database_time() -> datetime:
    now: datetime = ask(connection, "SELECT clock_timestamp()")
    return now


def wait_for_relay() -> None:
    """Wait until the relay has done a whole round: the next one to end may have begun already."""
    for _ in range(2):
        has_ticked = RelayRun.objects.filter(ticked_at__gt=database_time()).exists
        ask(connection, "SELECT pg_notify('outbox', '')")
        wait_until(has_ticked, within=PATIENCE)
