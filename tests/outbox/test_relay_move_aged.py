from __future__ import annotations

import pytest

from outbox.models import Outbox, Priority
from outbox.relay import AGED_SECONDS, move_aged
from outbox.window import AGED
from tests.outbox.conftest import ids_on_list
from tests.outbox.rows import QUEUE, move_time, pending_row, state_of

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
