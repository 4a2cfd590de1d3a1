from __future__ import annotations

import pytest
import redis

from outbox import window
from outbox.models import Outbox, Priority
from outbox.redis_client import client as redis_client
from outbox.relay import move_due
from tests.outbox.conftest import ids_on_list
from tests.outbox.rows import QUEUE, move_time, pending_row, queued_row, state_of

pytestmark = pytest.mark.django_db


def test_move_due_puts_each_row_on_the_list_of_its_priority_first_in_first_out():
    rows = {
        priority: [pending_row(priority=priority).id for _ in range(2)]
        for priority in reversed(Priority.values)
    }

    moved = move_due(QUEUE, limit=100)

    assert moved == 8
    assert {priority: ids_on_list(QUEUE, priority) for priority in Priority.values} == rows
    assert set(Outbox.objects.values_list("state", flat=True)) == {"queued"}
    assert not Outbox.objects.filter(queued_at=None).exists()


def test_move_due_takes_the_most_urgent_rows_first():
    low, normal, high, critical = (pending_row(priority=p).id for p in (3, 2, 1, 0))

    order = [(move_due(QUEUE, limit=1), window.ids(QUEUE)) for _ in range(4)]

    assert order == [
        (1, {critical}),
        (1, {critical, high}),
        (1, {critical, high, normal}),
        (1, {critical, high, normal, low}),
    ]


def test_move_due_inside_a_priority_goes_by_due_time_not_by_id():
    younger, older = pending_row(), pending_row()
    move_time(older, "available_at", -10)

    move_due(QUEUE, limit=10)

    assert ids_on_list(QUEUE, Priority.NORMAL) == [older.id, younger.id]


def test_move_due_stops_at_the_limit():
    rows = [pending_row().id for _ in range(5)]

    moved = move_due(QUEUE, limit=3)

    assert moved == 3
    assert ids_on_list(QUEUE, Priority.NORMAL) == rows[:3]
    assert list(Outbox.objects.due().order_by("id").values_list("id", flat=True)) == rows[3:]


def test_move_due_leaves_rows_that_are_not_due():
    row = pending_row()
    move_time(row, "available_at", 30)

    assert move_due(QUEUE, limit=10) == 0
    assert (state_of(row), window.ids(QUEUE)) == ("pending", set())


def test_move_due_leaves_rows_of_other_queues_and_states():
    other = pending_row(queue="create_payment")
    for state in ("delivered", "discarded"):
        pending_row(state=state)
    queued_row()

    assert move_due(QUEUE, limit=10) == 0
    assert state_of(other) == "pending"


def test_move_due_with_redis_away_leaves_the_rows_pending(redis_away):
    rows = [pending_row(), pending_row()]

    assert move_due(QUEUE, limit=10) == 0
    assert [state_of(row) for row in rows] == ["pending", "pending"]
    assert Outbox.objects.filter(queued_at=None, attempt_count=0).count() == 2


def test_move_due_with_redis_away_does_not_take_a_row_back_from_its_worker(monkeypatch):
    row = pending_row()

    def popped_and_claimed_but_no_answer(queue: str, ids: object) -> None:
        Outbox.objects.filter(pk=row.pk).update(state="delivered")
        raise redis.ConnectionError

    monkeypatch.setattr(window, "push", popped_and_claimed_but_no_answer)

    move_due(QUEUE, limit=10)

    assert state_of(row) == "delivered"


def test_move_due_takes_no_row_less_urgent_than_asked():
    high, normal, low = (pending_row(priority=p) for p in (1, 2, 3))

    moved = move_due(QUEUE, limit=10, priority=Priority.NORMAL)

    assert moved == 2
    assert [state_of(row) for row in (high, normal, low)] == ["queued", "queued", "pending"]


def test_move_due_rings_the_bell_of_the_queue():
    pending_row()

    move_due(QUEUE, limit=10)

    assert redis_client().llen(window.bell_key(QUEUE)) == 1


def test_move_due_with_a_failed_push_takes_the_rows_back(push_fails):
    rows = [pending_row(), pending_row()]

    assert move_due(QUEUE, limit=10) == 0
    assert [state_of(row) for row in rows] == ["pending", "pending"]
    assert Outbox.objects.filter(queued_at=None, attempt_count=0).count() == 2
