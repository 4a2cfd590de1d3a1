from __future__ import annotations

import pytest

from outbox import window
from outbox.models import Outbox, Priority
from outbox.relay import AGED_SECONDS, move_aged, share_with_aged
from outbox.window import AGED
from tests.outbox.conftest import ids_on_list
from tests.outbox.rows import QUEUE, move_time, pending_row, queued_row, state_of

pytestmark = pytest.mark.django_db


def aged_row(seconds: float = AGED_SECONDS + 1, **columns: object) -> Outbox:
    """A row that has been due for so long."""
    row = pending_row(**columns)
    move_time(row, "available_at", -seconds)
    return row


@pytest.mark.parametrize(("seconds", "moved"), [(AGED_SECONDS - 5, 0), (AGED_SECONDS + 0.01, 1)])
def test_move_aged_takes_a_row_once_it_has_been_due_for_long(seconds: float, moved: int):
    row = aged_row(seconds)

    assert move_aged(QUEUE, limit=10) == moved
    assert ids_on_list(QUEUE, AGED) == [row.id] * moved


def test_move_aged_takes_the_oldest_first_whatever_their_priority():
    rows = [
        aged_row(90, priority=Priority.CRITICAL),
        aged_row(300, priority=Priority.LOW),
        aged_row(200, priority=Priority.NORMAL),
    ]

    assert move_aged(QUEUE, limit=2) == 2
    assert ids_on_list(QUEUE, AGED) == [rows[1].id, rows[2].id]
    assert [state_of(row) for row in rows] == ["pending", "queued", "queued"]


def test_move_aged_leaves_other_queues():
    row = aged_row(queue="create_payment")

    assert move_aged(QUEUE, limit=10) == 0
    assert state_of(row) == "pending"


def test_move_aged_without_room_moves_nothing():
    row = aged_row()

    assert move_aged(QUEUE, limit=0) == 0
    assert state_of(row) == "pending"


def test_move_aged_with_a_failed_push_takes_the_rows_back(push_fails):
    row = aged_row()

    assert move_aged(QUEUE, limit=10) == 0
    row.refresh_from_db()
    assert (row.state, row.queued_at) == ("pending", None)


def aged_queued_row(name: int | str, seconds: float) -> Outbox:
    """A queued low row that has been due for so long, with its id on the list of this name."""
    row = queued_row(priority=Priority.LOW)
    move_time(row, "available_at", -AGED_SECONDS - seconds)
    window.push(QUEUE, [(row.id, name)])
    return row


def test_share_with_aged_brings_back_ids_that_more_urgent_ones_pass_by():
    younger, older = (aged_queued_row(Priority.LOW, seconds) for seconds in (1, 2))

    share_with_aged(QUEUE, size=5)
    share_with_aged(QUEUE, size=5)

    assert ids_on_list(QUEUE, AGED) == [older.id, younger.id]
    assert ids_on_list(QUEUE, Priority.LOW) == [younger.id, older.id]


def test_share_with_aged_takes_pending_rows_for_the_room_that_is_left():
    queued = aged_queued_row(Priority.LOW, 1)
    pending = [pending_row(priority=Priority.LOW) for _ in range(2)]
    for row in pending:
        move_time(row, "available_at", -AGED_SECONDS - 1)

    share_with_aged(QUEUE, size=2)

    assert ids_on_list(QUEUE, AGED) == [queued.id, pending[0].id]


def test_share_with_aged_leaves_rows_that_are_not_aged_and_critical_ones():
    young = queued_row(priority=Priority.LOW)
    critical = queued_row(priority=Priority.CRITICAL)
    move_time(critical, "available_at", -AGED_SECONDS - 1)

    share_with_aged(QUEUE, size=5)

    assert (ids_on_list(QUEUE, AGED), state_of(young)) == ([], "queued")
