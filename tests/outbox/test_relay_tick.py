from __future__ import annotations

import pytest

from outbox import conservation, flow, measure, relay, window, workers
from outbox.models import Outbox, Priority
from outbox.relay import WINDOW_MAX, WINDOW_MIN, Relay, Tick, _room
from outbox.window import AGED, Lengths
from tests.outbox.conftest import ids_on_list
from tests.outbox.rows import QUEUE, move_time, open_breaker, pending_row, state_of

pytestmark = pytest.mark.django_db


def fill_window(count: int = WINDOW_MIN, priority: int = Priority.NORMAL) -> None:
    """Put ids of no rows on one list of QUEUE."""
    window.push(QUEUE, [(10_000_000 + n, priority) for n in range(count)])


@pytest.mark.parametrize(
    ("priorities", "room", "least"),
    [
        ([0, 0, 0, 0], 10, Priority.LOW),
        ([0, 0, 0, 9], 1, Priority.LOW),
        ([0, 0, 0, 10], 10, Priority.NORMAL),
        ([0, 0, 0, 99], 10, Priority.NORMAL),
        ([0, 0, 10, 0], 10, Priority.HIGH),
        ([0, 4, 5, 0], 1, Priority.LOW),
        ([0, 4, 6, 0], 6, Priority.HIGH),
        ([3, 7, 0, 0], 7, Priority.CRITICAL),
        ([9, 1, 0, 0], 1, Priority.CRITICAL),
        ([10, 0, 0, 0], 0, Priority.CRITICAL),
        ([99, 0, 0, 0], 0, Priority.CRITICAL),
    ],
)
def test_room_is_what_is_left_by_ids_that_are_at_least_as_urgent(
    priorities: list[int], room: int, least: Priority
):
    assert _room(Lengths(priorities, aged=50), 10) == (room, least)


def test_tick_fills_the_windows_of_all_queues():
    rows = [pending_row(queue=q) for q in ("send_email", "create_payment", "verify_document")]

    tick = Relay().tick()

    assert tick == Tick(moved=3, has_backlog=False, ran_dry=False)
    assert [state_of(row) for row in rows] == ["queued"] * 3


def test_tick_without_rows_moves_nothing():
    assert Relay().tick() == Tick(moved=0, has_backlog=False, ran_dry=False)


@pytest.mark.parametrize(("left", "has_backlog"), [(-1, False), (0, True), (3, True)])
def test_tick_stops_at_the_window_and_says_that_rows_may_be_left(left: int, has_backlog: bool):
    for _ in range(WINDOW_MIN + left):
        pending_row()

    tick = Relay().tick()

    assert tick.has_backlog is has_backlog
    assert window.lengths(QUEUE).total == WINDOW_MIN + min(left, 0)
    assert Outbox.objects.due().count() == max(left, 0)


def test_tick_counts_what_already_waits_in_redis():
    fill_window(WINDOW_MIN - 2, Priority.LOW)
    rows = [pending_row(priority=Priority.LOW) for _ in range(5)]

    Relay().tick()

    assert window.lengths(QUEUE).total == WINDOW_MIN
    assert [state_of(row) for row in rows] == ["queued"] * 2 + ["pending"] * 3


def test_tick_finds_room_for_a_critical_row_in_a_window_full_of_others():
    fill_window()
    normal, critical = pending_row(), pending_row(priority=Priority.CRITICAL)

    tick = Relay().tick()

    assert tick.has_backlog
    assert ids_on_list(QUEUE, Priority.CRITICAL) == [critical.id]
    assert (state_of(normal), state_of(critical)) == ("pending", "queued")


def test_tick_of_a_window_full_of_critical_ids_moves_nothing():
    fill_window(priority=Priority.CRITICAL)
    row = pending_row(priority=Priority.CRITICAL)

    assert Relay().tick() == Tick(moved=0, has_backlog=True, ran_dry=True)
    assert state_of(row) == "pending"


def test_tick_leaves_the_share_of_the_aged_rows_out_of_the_window():
    window.push(QUEUE, [(10_000_000 + n, AGED) for n in range(WINDOW_MIN)])
    row = pending_row()

    Relay().tick()

    assert state_of(row) == "queued"


def test_tick_of_one_full_queue_does_not_hold_up_another():
    fill_window()
    waiting, other = pending_row(), pending_row(queue="create_payment")

    Relay().tick()

    assert (state_of(waiting), state_of(other)) == ("pending", "queued")


def test_tick_asks_to_be_repeated_soon_when_it_first_finds_a_backlog():
    current = Relay()
    for _ in range(WINDOW_MIN + 3):
        pending_row()

    ticks = [current.tick(), current.tick()]

    assert [tick.ran_dry for tick in ticks] == [True, False]
    assert [tick.has_backlog for tick in ticks] == [True, True]


@pytest.mark.parametrize(
    ("left_in_window", "size", "ran_dry"),
    [
        (WINDOW_MIN // 2, WINDOW_MIN, False),
        (WINDOW_MIN // 2 - 1, 2 * WINDOW_MIN, True),
        (0, 2 * WINDOW_MIN, True),
    ],
)
def test_tick_widens_a_window_that_is_less_than_half_full_although_rows_were_left(
    left_in_window: int, size: int, ran_dry: bool
):
    current = Relay()
    for _ in range(5 * WINDOW_MIN):
        pending_row()
    current.tick()
    while window.lengths(QUEUE).total > left_in_window:
        window.pop(QUEUE, aged_first=False)

    tick = current.tick()

    assert (tick.ran_dry, window.lengths(QUEUE).total) == (ran_dry, size)


def test_tick_widens_no_window_without_a_backlog():
    current = Relay()
    pending_row()
    current.tick()
    window.clear(QUEUE)

    current.tick()

    assert current.windows.get(QUEUE, WINDOW_MIN) == WINDOW_MIN


def test_tick_widens_a_window_up_to_its_bound(monkeypatch):
    current = Relay(windows={QUEUE: WINDOW_MAX - 1}, _left_over={QUEUE})

    current.tick()

    assert current.windows[QUEUE] == WINDOW_MAX


def test_tick_with_redis_away_leaves_the_rows_pending(redis_away):
    row = pending_row()

    assert not Relay().tick().has_backlog
    assert state_of(row) == "pending"


def test_tick_with_a_failed_push_does_not_ask_for_a_quick_next_one(push_fails):
    for _ in range(WINDOW_MIN + 1):
        pending_row()

    assert not Relay().tick().has_backlog
    assert Outbox.objects.due().count() == WINDOW_MIN + 1


def test_tick_in_the_next_round_delivers_what_a_failed_push_left(push_fails, monkeypatch):
    row = pending_row()
    Relay().tick()
    monkeypatch.undo()

    Relay().tick()

    assert (state_of(row), window.ids(QUEUE)) == ("queued", {row.id})


def test_tick_moves_nothing_of_a_paused_queue():
    row, other = pending_row(), pending_row(queue="create_payment")
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")

    tick = Relay().tick()

    assert tick == Tick(moved=1, has_backlog=False, ran_dry=False)
    assert (state_of(row), state_of(other)) == ("pending", "queued")


def test_tick_withdraws_a_queue_that_has_just_been_paused():
    row = pending_row()
    Relay().tick()
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")

    Relay().tick()

    assert (state_of(row), window.ids(QUEUE)) == ("pending", set())


def test_tick_lets_the_rows_of_a_resumed_queue_go():
    row = pending_row()
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")
    current = Relay()
    current.tick()
    flow.resume(queue=QUEUE, user_id=None)

    assert current.tick().moved == 1
    assert state_of(row) == "queued"


def test_tick_with_redis_away_puts_the_rows_of_a_held_queue_back(redis_away):
    row = pending_row(state="queued")
    open_breaker()

    Relay().tick()

    assert state_of(row) == "pending"


def test_repair_sizes_the_window_of_a_queue_with_a_backlog_by_its_drain(monkeypatch):
    monkeypatch.setattr(measure, "attempts_ended", lambda queue, seconds: 25)
    current = Relay(_left_over={QUEUE})

    current.repair()

    assert current.windows == {QUEUE: 25}


@pytest.mark.parametrize(
    ("drained", "size"),
    [
        (0, WINDOW_MIN),
        (WINDOW_MIN, WINDOW_MIN),
        (WINDOW_MIN + 1, WINDOW_MIN + 1),
        (WINDOW_MAX, WINDOW_MAX),
        (WINDOW_MAX + 1, WINDOW_MAX),
    ],
)
def test_repair_keeps_windows_within_their_bounds(monkeypatch, drained: int, size: int):
    monkeypatch.setattr(measure, "attempts_ended", lambda queue, seconds: drained)
    current = Relay(_left_over={QUEUE})

    current.repair()

    assert current.windows[QUEUE] == size


def test_repair_queues_aged_rows_where_there_is_a_backlog():
    aged = [pending_row(priority=Priority.LOW) for _ in range(3)]
    for row in aged:
        move_time(row, "available_at", -relay.AGED_SECONDS - 1)

    Relay(_left_over={QUEUE}).repair()

    share = relay.WINDOW_MIN // relay.AGED_EVERY
    assert ids_on_list(QUEUE, AGED) == [row.id for row in aged[:share]]


def test_repair_queues_no_more_aged_rows_than_their_share():
    window.push(QUEUE, [(10_000_000, AGED)])
    row = pending_row(priority=Priority.LOW)
    move_time(row, "available_at", -relay.AGED_SECONDS - 1)

    Relay(_left_over={QUEUE}).repair()

    assert state_of(row) == "pending"


def test_observe_notes_the_backlog_the_gauges_and_forgets_old_workers(monkeypatch):
    steps: list[object] = []
    monkeypatch.setattr(measure, "record_backlog", lambda held: steps.append(set(held)))
    monkeypatch.setattr(conservation, "check", lambda: steps.append("checked"))
    monkeypatch.setattr(workers, "forget_old", lambda: steps.append("forgot"))
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")

    Relay().observe()

    assert sorted(steps, key=str) == ["checked", "forgot", {QUEUE}]
