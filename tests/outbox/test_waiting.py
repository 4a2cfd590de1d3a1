from __future__ import annotations

import pytest

from outbox import flow, waiting
from outbox.models import Outbox, Priority, Worker
from outbox.queues import queues
from outbox.waiting import Cause, Reason, why_waiting
from tests.factories import DeadLetterFactory
from tests.outbox.rows import (
    QUEUE,
    leased_row,
    move_time,
    open_breaker,
    pending_row,
    queued_row,
    seen_worker,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def workers_live(db: None) -> None:
    """Every queue has a worker."""
    for queue in queues():
        seen_worker(f"{queue}:1", queue)


def reason_of(row: Outbox) -> Reason:
    row.refresh_from_db()
    return why_waiting([row])[row.pk]


def test_row_that_is_due_and_first_starts_next():
    assert reason_of(pending_row()) == Reason(Cause.NEXT)


def test_row_that_is_queued_and_first_starts_next():
    assert reason_of(queued_row()) == Reason(Cause.NEXT)


def test_row_of_a_queue_that_does_not_exist_waits_for_ever():
    row = pending_row(queue="removed")
    move_time(row, "available_at", 60)

    assert reason_of(row) == Reason(Cause.NO_QUEUE)


def test_row_that_is_leased_is_with_its_worker():
    row, _ = leased_row()
    flow.pause(queue=QUEUE, user_id=None, reason="does not stop what runs")

    reason = reason_of(row)

    assert reason == Reason(Cause.LEASED, at=row.started_at, worker=row.worker)


def test_row_whose_lease_has_expired_waits_for_the_relay():
    row, _ = leased_row()
    move_time(row, "lease_expires_at", -0.01)

    reason = reason_of(row)

    assert reason == Reason(Cause.LEASE_EXPIRED, at=row.started_at, worker=row.worker)


def test_row_of_a_paused_queue_waits_for_staff():
    row = pending_row()
    move_time(row, "available_at", 60)
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")
    paused_at = flow.holds()[QUEUE].paused_at

    assert reason_of(row) == Reason(Cause.PAUSED, at=paused_at)


def test_row_of_an_open_breaker_waits_for_the_next_probe():
    row = pending_row()
    control = open_breaker(probe_in=30)

    assert reason_of(row) == Reason(Cause.BREAKER_OPEN, at=control.probe_at)


def test_row_of_a_queue_that_is_paused_with_an_open_breaker_waits_for_staff_first():
    row = pending_row()
    open_breaker(probe_in=30)
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")

    assert reason_of(row).cause == Cause.PAUSED


def test_row_that_failed_backs_off_even_when_the_breaker_is_open():
    row = pending_row(attempt_count=1)
    move_time(row, "available_at", 60)
    open_breaker(probe_in=30)

    reason = reason_of(row)

    assert reason == Reason(Cause.BACKING_OFF, at=row.available_at)


def test_row_that_was_never_tried_is_not_due():
    row = pending_row()
    move_time(row, "available_at", 60)

    reason = reason_of(row)

    assert reason == Reason(Cause.NOT_DUE, at=row.available_at)


def test_row_that_backed_off_long_enough_starts_next():
    row = pending_row(attempt_count=1)
    move_time(row, "available_at", -0.01)

    assert reason_of(row) == Reason(Cause.NEXT)


def test_row_of_a_queue_without_a_live_worker_waits_for_one():
    row, other = pending_row(), pending_row(queue="create_payment")
    Worker.objects.filter(queue=QUEUE).delete()

    assert (reason_of(row), reason_of(other)) == (Reason(Cause.NO_WORKER), Reason(Cause.NEXT))


def test_row_waits_behind_what_is_due_and_more_urgent_or_earlier():
    pending_row(priority=Priority.CRITICAL)
    queued_row(priority=Priority.HIGH)
    pending_row()
    row = pending_row()
    # none of these starts before it:
    pending_row()
    pending_row(priority=Priority.LOW)
    pending_row(queue="create_payment", priority=Priority.CRITICAL)
    move_time(pending_row(priority=Priority.CRITICAL), "available_at", 60)
    leased_row(priority=Priority.CRITICAL)
    pending_row(priority=Priority.CRITICAL, state="delivered")

    assert reason_of(row) == Reason(Cause.BEHIND, ahead=3)


@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize(("others", "ahead", "more"), [(2, 2, False), (3, 3, True), (9, 3, True)])
def test_row_counts_what_is_ahead_up_to_a_limit(
    monkeypatch, queued: bool, others: int, ahead: int, more: bool
):
    monkeypatch.setattr(waiting, "MAX_AHEAD", 2)
    for _ in range(others):
        queued_row() if queued else pending_row()

    reason = reason_of(pending_row())

    assert (reason.cause, reason.ahead, reason.has_more_ahead) == (Cause.BEHIND, ahead, more)


def test_rows_that_are_finished_are_left_out():
    rows = [pending_row(state=state) for state in ("delivered", "discarded")]

    assert why_waiting([*rows, DeadLetterFactory.create()]) == {}


def test_row_that_was_deleted_meanwhile_is_left_out():
    row, gone = pending_row(), pending_row()
    Outbox.objects.filter(pk=gone.pk).delete()

    assert why_waiting([row, gone]) == {row.pk: Reason(Cause.NEXT)}


def test_no_rows_need_no_queries(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert why_waiting([]) == {}


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_rows_needs_three_queries(django_assert_num_queries, count: int):
    rows = [pending_row() for _ in range(count)]

    with django_assert_num_queries(3):
        assert len(why_waiting(rows)) == count
