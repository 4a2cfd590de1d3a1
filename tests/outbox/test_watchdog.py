from __future__ import annotations

import pytest
from django.db import connection

from outbox.models import Attempt, RelayRun
from outbox.watchdog import RELAY_STALE_SECONDS, STUCK_SECONDS, relay_is_stale, stuck_queues
from tests.outbox.rows import QUEUE, leased_row, move_time, pending_row, queued_row

pytestmark = pytest.mark.django_db
LONG_AGO = -STUCK_SECONDS - 1


def ran(seconds: float) -> None:
    """As if a run of the relay had ticked `seconds` from now."""
    run = RelayRun.objects.create(worker="w")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_relay_run SET ticked_at = clock_timestamp() + make_interval(secs => %s)"
            " WHERE id = %s",
            [seconds, run.id],
        )


def ended(queue: str, seconds: float) -> None:
    """As if an attempt in `queue` had ended `seconds` from now."""
    row = pending_row(queue=queue, state="delivered")
    attempt = Attempt.objects.create(outbox=row, number=1, worker="w")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_attempt SET ended_at = clock_timestamp() + make_interval(secs => %s)"
            " WHERE id = %s",
            [seconds, attempt.id],
        )


@pytest.mark.parametrize(
    ("ticks", "stale"),
    [
        ([], True),
        ([-RELAY_STALE_SECONDS - 1], True),
        ([-RELAY_STALE_SECONDS + 2], False),
        ([-3600, -1], False),
    ],
)
def test_relay_is_stale_when_no_run_has_ticked_lately(ticks: list[float], stale: bool):
    for seconds in ticks:
        ran(seconds)

    assert relay_is_stale() is stale


def test_stuck_queues_names_a_queue_whose_queued_work_nobody_starts():
    move_time(queued_row(), "available_at", LONG_AGO)

    assert stuck_queues() == [QUEUE]


def test_stuck_queues_leaves_rows_that_the_relay_has_not_queued():
    move_time(pending_row(), "available_at", LONG_AGO)

    assert stuck_queues() == []


def test_stuck_queues_names_each_queue_once_in_order():
    for queue in ("verify_document", QUEUE, "create_payment", QUEUE):
        move_time(queued_row(queue=queue), "available_at", LONG_AGO)

    assert stuck_queues() == ["create_payment", QUEUE, "verify_document"]


def test_stuck_queues_without_work_is_empty():
    pending_row(state="delivered")

    assert stuck_queues() == []


@pytest.mark.parametrize("due_in", [60, -STUCK_SECONDS + 3])
def test_stuck_queues_leaves_rows_that_are_not_due_for_long(due_in: float):
    move_time(queued_row(), "available_at", due_in)

    assert stuck_queues() == []


def test_stuck_queues_leaves_a_queue_whose_worker_is_busy():
    move_time(queued_row(), "available_at", LONG_AGO)
    leased_row()

    assert stuck_queues() == []


def test_stuck_queues_names_a_queue_whose_busy_worker_has_lost_its_lease():
    move_time(queued_row(), "available_at", LONG_AGO)
    move_time(leased_row()[0], "lease_expires_at", -1)

    assert stuck_queues() == [QUEUE]


def test_stuck_queues_leaves_a_queue_where_attempts_end():
    move_time(queued_row(), "available_at", LONG_AGO)
    ended(QUEUE, -1)

    assert stuck_queues() == []


def test_stuck_queues_names_a_queue_where_attempts_have_stopped_ending():
    move_time(queued_row(), "available_at", LONG_AGO)
    ended(QUEUE, LONG_AGO)

    assert stuck_queues() == [QUEUE]


def test_stuck_queues_does_not_take_another_queue_for_a_sign_of_life():
    move_time(queued_row(), "available_at", LONG_AGO)
    ended("create_payment", -1)
    leased_row(queue="verify_document")

    assert stuck_queues() == [QUEUE]
