from __future__ import annotations

import pytest

from outbox import flow, window
from outbox.delivery import claim
from outbox.models import Attempt, Outbox, Priority
from outbox.queues import get_queue
from outbox.relay import move_due, withdraw
from outbox.window import AGED
from tests.outbox.conftest import ids_on_list
from tests.outbox.rows import (
    QUEUE,
    control_of,
    leased_row,
    move_control_time,
    open_breaker,
    pending_row,
    queued_row,
    seconds_until,
    state_of,
)

pytestmark = pytest.mark.django_db


def withdraw_held() -> None:
    withdraw(QUEUE, flow.holds()[QUEUE])


def seconds_until_probe() -> float:
    return seconds_until("outbox_queue", "name", QUEUE, "probe_at")


def test_withdraw_empties_the_lists_and_sends_the_rows_back_without_an_attempt():
    rows = [pending_row(priority=priority) for priority in Priority.values]
    move_due(QUEUE, limit=10)
    window.push(QUEUE, [(queued_row().id, AGED)])
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")

    withdraw_held()

    assert window.lengths(QUEUE).total == 0
    assert [state_of(row) for row in rows] == ["pending"] * 4
    assert Outbox.objects.filter(queued_at=None, attempt_count=0).count() == 5
    assert not Attempt.objects.exists()


def test_withdraw_leaves_leased_rows_and_other_queues():
    leased, _ = leased_row()
    other = queued_row(queue="create_payment")
    window.push("create_payment", [(other.id, Priority.NORMAL)])
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")

    withdraw_held()

    assert (state_of(leased), state_of(other)) == ("processing", "queued")
    assert window.ids("create_payment") == {other.id}


def test_withdraw_of_an_open_breaker_arms_a_probe_once_it_is_due():
    first, second = pending_row(), pending_row()
    open_breaker(probe_in=-1)

    withdraw_held()

    assert (state_of(first), state_of(second)) == ("queued", "pending")
    assert control_of().probe_row_id == first.id
    assert ids_on_list(QUEUE, Priority.NORMAL) == [first.id]
    assert 0 < get_queue(QUEUE).lease_seconds - seconds_until_probe() < 10


def test_withdraw_probes_with_the_most_urgent_row():
    pending_row(priority=Priority.NORMAL)
    critical = pending_row(priority=Priority.CRITICAL)
    open_breaker(probe_in=-1)

    withdraw_held()

    assert control_of().probe_row_id == critical.id


def test_withdraw_of_an_open_breaker_arms_no_probe_before_it_is_due():
    row = pending_row()
    open_breaker(probe_in=5)

    withdraw_held()

    assert (state_of(row), control_of().probe_row_id) == ("pending", None)


def test_withdraw_arms_one_probe_at_a_time():
    first, second = pending_row(), pending_row()
    open_breaker(probe_in=-1)
    withdraw_held()

    withdraw_held()

    assert (state_of(first), state_of(second)) == ("queued", "pending")
    assert window.ids(QUEUE) == {first.id}


def test_withdraw_arms_another_probe_when_the_first_got_lost():
    first = pending_row(priority=Priority.CRITICAL)
    second = pending_row()
    open_breaker(probe_in=-1)
    withdraw_held()
    claim(get_queue(QUEUE), first.id)
    move_control_time("probe_at", -1)

    withdraw_held()

    assert control_of().probe_row_id == second.id
    assert (state_of(first), state_of(second)) == ("processing", "queued")


def test_withdraw_without_due_rows_arms_nothing():
    open_breaker(probe_in=-1)

    withdraw_held()

    assert control_of().probe_row_id is None
    assert seconds_until_probe() < 0


def test_withdraw_of_a_paused_queue_with_an_open_breaker_arms_no_probe():
    row = pending_row()
    open_breaker(probe_in=-1)
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")

    withdraw_held()

    assert (state_of(row), control_of().probe_row_id) == ("pending", None)


def test_withdraw_with_a_failed_push_takes_the_probe_back(push_fails):
    row = pending_row()
    open_breaker(probe_in=-1)

    withdraw_held()

    assert state_of(row) == "pending"


def test_withdraw_of_a_paused_queue_takes_back_its_probe_too():
    row = pending_row()
    open_breaker(probe_in=-1)
    withdraw_held()
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")

    withdraw_held()

    assert (state_of(row), window.ids(QUEUE)) == ("pending", set())
