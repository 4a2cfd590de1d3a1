from __future__ import annotations

import pytest

from outbox.measure import (
    BUSY_ROWS,
    SAMPLE_SECONDS,
    SAMPLE_SHARE,
    attempts_ended,
    record_backlog,
    waiting_by_priority,
)
from outbox.models import Priority, QueueControl
from outbox.queues import queues
from tests.factories import DeadLetterFactory
from tests.outbox.rows import (
    QUEUE,
    control_of,
    end_attempts,
    hold_back,
    leased_row,
    move_time,
    pending_row,
    queued_row,
    seconds_until,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("seconds_ago", "ended"), [(0, 3), (9, 3), (10.01, 0), (60, 0)])
def test_attempts_ended_counts_the_last_seconds(seconds_ago: float, ended: int):
    end_attempts(3, seconds_ago=seconds_ago)

    assert attempts_ended(QUEUE, seconds=10) == ended


def test_attempts_ended_counts_its_queue_only():
    end_attempts(3, queue="create_payment")

    assert attempts_ended(QUEUE, seconds=10) == 0


def test_waiting_by_priority_counts_what_is_due_or_queued():
    for priority in (Priority.CRITICAL, Priority.LOW, Priority.LOW):
        pending_row(priority=priority)
    queued_row(priority=Priority.LOW)
    queued_row(priority=Priority.HIGH)
    pending_row(queue="create_payment")

    assert waiting_by_priority() == {QUEUE: [1, 1, 0, 3], "create_payment": [0, 0, 1, 0]}


def test_waiting_by_priority_leaves_out_what_is_not_due_or_has_begun():
    move_time(pending_row(), "available_at", 60)
    leased_row()
    DeadLetterFactory.create()
    for state in ("delivered", "discarded"):
        pending_row(state=state)

    assert waiting_by_priority() == {}


def test_record_backlog_notes_every_queue():
    pending_row(priority=Priority.HIGH)

    record_backlog(held=set())

    waiting = dict(QueueControl.objects.values_list("name", "waiting"))
    assert waiting == {**{name: [0, 0, 0, 0] for name in queues()}, QUEUE: [0, 1, 0, 0]}
    assert -5 < seconds_until("outbox_queue", "name", QUEUE, "measured_at") <= 0


def test_record_backlog_notes_a_queue_that_the_settings_do_not_have():
    pending_row(queue="removed", priority=Priority.LOW)

    record_backlog(held=set())

    assert control_of("removed").waiting == [0, 0, 0, 1]


def test_record_backlog_brings_a_queue_back_to_zero():
    hold_back("removed", waiting=[0, 0, 0, 1])
    hold_back(QUEUE, waiting=[4, 3, 2, 1])

    record_backlog(held=set())

    assert control_of("removed").waiting == [0, 0, 0, 0]
    assert control_of(QUEUE).waiting == [0, 0, 0, 0]


def enough_to_do() -> None:
    for _ in range(BUSY_ROWS):
        pending_row()


def test_record_backlog_measures_the_drain_of_a_queue_with_work():
    enough_to_do()
    end_attempts(25)

    record_backlog(held=set())

    assert control_of().drain_per_second == 25 / SAMPLE_SECONDS


def test_record_backlog_moves_the_drain_slowly():
    hold_back(drain_per_second=10)
    enough_to_do()
    end_attempts(5 * SAMPLE_SECONDS)

    record_backlog(held=set())

    expected = 10 * (1 - SAMPLE_SHARE) + 5 * SAMPLE_SHARE
    assert control_of().drain_per_second == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rows", "ended"), [(BUSY_ROWS - 1, 5), (BUSY_ROWS + 1, (BUSY_ROWS + 2) * SAMPLE_SECONDS)]
)
def test_record_backlog_takes_traffic_without_a_backlog_for_no_measure(rows: int, ended: int):
    hold_back(drain_per_second=10)
    for _ in range(rows):
        pending_row()
    end_attempts(ended)

    record_backlog(held=set())

    assert control_of().drain_per_second == 10


@pytest.mark.parametrize("before", [None, 10])
def test_record_backlog_remembers_the_drain_of_an_idle_queue(before: float | None):
    hold_back(drain_per_second=before)
    end_attempts(50)

    record_backlog(held=set())

    assert control_of().drain_per_second == before


@pytest.mark.parametrize("before", [None, 10])
def test_record_backlog_remembers_the_drain_of_a_queue_that_is_held_back(before: float | None):
    hold_back(drain_per_second=before)
    pending_row()
    end_attempts(50)

    record_backlog(held={QUEUE})

    control = control_of()
    assert (control.drain_per_second, control.waiting) == (before, [0, 0, 1, 0])


@pytest.mark.parametrize("before", [None, 10])
def test_record_backlog_remembers_the_drain_of_a_queue_where_nothing_ends(before: float | None):
    hold_back(drain_per_second=before)
    pending_row()

    record_backlog(held=set())

    assert control_of().drain_per_second == before


def test_record_backlog_keeps_what_holds_a_queue_back(staff):
    hold_back(paused_by=staff, pause_reason="maintenance", failures=3)

    record_backlog(held=set())

    control = control_of()
    assert (control.paused_by, control.pause_reason, control.failures) == (staff, "maintenance", 3)
