from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from outbox import turn, window
from outbox.models import Outbox, Priority
from outbox.registry import Message, handler
from outbox.relay import AGED_EVERY
from outbox.turn import Turn
from outbox.window import AGED
from tests.outbox.rows import (
    QUEUE,
    control_of,
    hold_back,
    move_control_time,
    outcomes,
    queued_row,
    state_of,
)

pytestmark = pytest.mark.django_db
# An attempt that was cut off closes its connections, and with them the transaction of a test.
cut_off = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn may last longer than a slow machine needs; this process has not started any row yet."""
    monkeypatch.setattr(turn, "TURN_SECONDS", 30)
    monkeypatch.setattr(turn, "_starts", count(os.getpid() % AGED_EVERY + 1))


@pytest.fixture
def seen(handlers) -> list[int]:
    """The ids that the handler `work` was given, in their order."""
    ids: list[int] = []

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        ids.append(message.id)

    return ids


def waiting_row(name: int | str | None = None, **columns: Any) -> Outbox:
    """A queued row whose id waits on the list of its priority, or on the one called `name`."""
    row = queued_row(**columns)
    window.push(QUEUE, [(row.id, row.priority if name is None else name)])
    return row


def sleep_is(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], None]) -> None:
    """What a turn does instead of sleeping."""
    monkeypatch.setattr(turn, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Notes how long a turn wanted to sleep; by then a permit is there."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        move_control_time("next_start_at", -1)

    sleep_is(monkeypatch, sleep)
    return slept


def test_turn_delivers_several_rows_most_urgent_first(seen):
    low, normal, critical = (waiting_row(priority=p) for p in (3, 2, 0))

    Turn(QUEUE).run()

    assert seen == [critical.id, normal.id, low.id]
    assert window.lengths(QUEUE).total == 0


def test_turn_starts_what_came_late_and_is_urgent_next(handlers):
    seen = []

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        seen.append(message.id)
        if len(seen) == 1:
            late.append(waiting_row(priority=Priority.CRITICAL))

    late: list[Outbox] = []
    rows = [waiting_row(priority=Priority.LOW) for _ in range(3)]

    Turn(QUEUE).run()

    assert seen == [rows[0].id, late[0].id, rows[1].id, rows[2].id]


def test_turn_starts_every_tenth_time_with_the_oldest_aged_row(seen):
    aged = [waiting_row(AGED) for _ in range(2)]
    urgent = [waiting_row(priority=Priority.CRITICAL).id for _ in range(2 * AGED_EVERY)]

    Turn(QUEUE).run()

    share = AGED_EVERY - 1
    assert seen[:AGED_EVERY] == [*urgent[:share], aged[0].id]
    assert seen[AGED_EVERY : 2 * AGED_EVERY] == [*urgent[share : 2 * share], aged[1].id]
    assert seen[2 * AGED_EVERY :] == urgent[2 * share :]


def test_turn_goes_on_after_a_row_that_is_not_to_be_had(seen):
    gone = waiting_row()
    Outbox.objects.update(state="delivered")
    row = waiting_row()

    Turn(QUEUE).run()

    assert (seen, state_of(gone)) == ([row.id], "delivered")


def test_turn_goes_on_after_a_failure(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message):
        raise ValueError

    rows = [waiting_row(), waiting_row()]
    current = Turn(QUEUE)

    current.run()

    assert [outcomes(row) for row in rows] == [[(1, "failed")]] * 2
    assert not current.timed_out


def test_turn_begins_no_row_once_its_time_is_over(seen, monkeypatch):
    monkeypatch.setattr(turn, "TURN_SECONDS", 0)
    row = waiting_row()

    Turn(QUEUE).run()

    assert (seen, state_of(row), window.ids(QUEUE)) == ([], "queued", {row.id})


def test_turn_whose_time_ends_during_a_row_ends_with_it(handlers):
    seen = []

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        seen.append(message.id)
        current._until = 0

    first, second = waiting_row(), waiting_row()
    current = Turn(QUEUE)

    current.run()

    assert (seen, outcomes(first)) == ([first.id], [(1, "succeeded")])
    assert (state_of(second), window.ids(QUEUE)) == ("queued", {second.id})


def test_turn_of_a_stopping_cluster_begins_nothing(seen, stop_cluster):
    row = waiting_row()
    stop_cluster()

    Turn(QUEUE).run()

    assert (seen, state_of(row), outcomes(row)) == ([], "queued", [])
    assert window.ids(QUEUE) == {row.id}


def test_turn_ends_with_its_row_when_its_cluster_stops(handlers, stop_cluster):
    @handler("thing_happened", queue="send_email")
    def work(message):
        stop_cluster()

    first, second = waiting_row(), waiting_row()

    Turn(QUEUE).run()

    assert (state_of(first), state_of(second)) == ("delivered", "queued")
    assert window.ids(QUEUE) == {second.id}


@cut_off
def test_turn_ends_with_an_attempt_that_takes_too_long(handlers, short_attempts):
    @handler("thing_happened", queue="send_email")
    def work(message):
        threading.Event().wait(30)

    first, second = waiting_row(), waiting_row()
    current = Turn(QUEUE)

    current.run()

    assert current.timed_out
    assert (outcomes(first), outcomes(second)) == ([(1, "timed_out")], [])
    assert window.ids(QUEUE) == {second.id}


def test_turn_with_redis_away_ends(redis_away):
    row = queued_row()

    Turn(QUEUE).run()

    assert state_of(row) == "queued"


def test_turn_leaves_other_queues_alone(seen):
    window.push("create_payment", [(queued_row(queue="create_payment").id, Priority.NORMAL)])

    Turn(QUEUE).run()

    assert seen == []
    assert window.lengths("create_payment").total == 1


def test_turn_on_a_queue_that_does_not_exist_is_an_error():
    with pytest.raises(KeyError, match="no_such_queue"):
        Turn("no_such_queue")


def test_turn_of_a_rate_limited_queue_begins_one_row_and_leaves_the_others(seen, rate_limited):
    rows = [waiting_row(), waiting_row()]

    Turn(QUEUE).run()

    assert seen == [rows[0].id]
    assert (state_of(rows[1]), window.ids(QUEUE)) == ("queued", {rows[1].id})


def test_turn_of_a_rate_limited_queue_without_work_takes_no_permit(rate_limited):
    hold_back()

    Turn(QUEUE).run()

    assert control_of().next_start_at is None


def test_turn_of_a_rate_limited_queue_waits_for_a_permit_that_comes_in_time(
    seen, rate_limited, no_sleep, monkeypatch
):
    monkeypatch.setattr(turn, "TURN_SECONDS", 3600)
    rows = [waiting_row(), waiting_row()]

    Turn(QUEUE).run()

    assert seen == [row.id for row in rows]
    assert no_sleep == [turn.PERMIT_LOOK_SECONDS]


def test_turn_of_a_rate_limited_queue_records_an_outcome_before_it_waits(
    seen, rate_limited, monkeypatch
):
    recorded = []

    def sleep(seconds: float) -> None:
        recorded.append(outcomes(first))
        move_control_time("next_start_at", -1)

    sleep_is(monkeypatch, sleep)
    monkeypatch.setattr(turn, "TURN_SECONDS", 3600)
    first, _ = waiting_row(), waiting_row()

    Turn(QUEUE).run()

    assert recorded == [[(1, "succeeded")]]


def test_turn_of_a_rate_limited_queue_stops_waiting_when_its_cluster_stops(
    seen, rate_limited, stop_cluster, monkeypatch
):
    sleep_is(monkeypatch, lambda seconds: stop_cluster())
    monkeypatch.setattr(turn, "TURN_SECONDS", 3600)
    first, second = waiting_row(), waiting_row()

    Turn(QUEUE).run()

    assert (seen, state_of(second)) == ([first.id], "queued")


def test_step_does_one_thing_at_a_time(seen):
    row = waiting_row()
    current = Turn(QUEUE)

    assert (current.step(), state_of(row)) == (True, "processing")
    assert (current.step(), state_of(row)) == (True, "delivered")
    assert current.step() is False
