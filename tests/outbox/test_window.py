from __future__ import annotations

import pytest
import redis

from outbox import window
from outbox.models import Priority
from outbox.redis_client import client as redis_client
from outbox.window import AGED, Lengths
from tests.outbox.conftest import ids_on_list
from tests.outbox.rows import QUEUE

MIXED: list[tuple[int, int | str]] = [
    (40, 3),
    (30, 2),
    (90, AGED),
    (31, 2),
    (20, 1),
    (10, 0),
    (41, 3),
    (11, 0),
    (91, AGED),
]


def pop_all(*, aged_first: bool) -> list[int]:
    popped = []
    while (row_id := window.pop(QUEUE, aged_first=aged_first)) is not None:
        popped.append(row_id)
    return popped


@pytest.mark.parametrize(
    ("aged_first", "order"),
    [
        (False, [10, 11, 20, 30, 31, 40, 41, 90, 91]),
        (True, [90, 91, 10, 11, 20, 30, 31, 40, 41]),
    ],
)
def test_pop_takes_the_most_urgent_id_or_the_oldest_aged_one(aged_first: bool, order: list[int]):
    window.push(QUEUE, MIXED)

    assert pop_all(aged_first=aged_first) == order


def test_pop_lets_a_late_urgent_id_overtake():
    window.push(QUEUE, [(1, Priority.LOW), (2, Priority.LOW)])
    first = window.pop(QUEUE, aged_first=False)
    window.push(QUEUE, [(3, Priority.CRITICAL)])

    assert (first, window.pop(QUEUE, aged_first=False)) == (1, 3)


def test_pop_of_another_queue_gets_nothing():
    window.push("create_payment", [(1, Priority.NORMAL)])

    assert window.pop(QUEUE, aged_first=False) is None
    assert window.ids("create_payment") == {1}


@pytest.mark.parametrize("garbage", [b"", b"-1", b"1.5", b"\xb2", b"\xff\x00", b"gASVCg=="])
def test_pop_drops_what_is_not_an_id(garbage: bytes):
    redis_client().rpush(f"outbox:{QUEUE}:0", garbage)
    window.push(QUEUE, [(7, Priority.LOW)])

    assert pop_all(aged_first=False) == [7]
    assert window.lengths(QUEUE).total == 0


def test_lengths_are_by_priority_and_aged():
    window.push(QUEUE, MIXED)

    assert window.lengths(QUEUE) == Lengths(priorities=[2, 1, 2, 2], aged=2)
    assert window.lengths(QUEUE).total == 9
    assert window.lengths("create_payment") == Lengths([0, 0, 0, 0], 0)


def test_push_keeps_the_order_given_and_rings_once():
    window.push(QUEUE, [(2, Priority.LOW), (1, Priority.LOW)])

    assert ids_on_list(QUEUE, Priority.LOW) == [2, 1]
    assert redis_client().llen(window.bell_key(QUEUE)) == 1


@pytest.mark.parametrize("bells", [0, 1, 3])
def test_wait_tells_how_many_ids_are_there_and_silences_the_bell(bells: int):
    window.push(QUEUE, MIXED)
    redis_client().delete(window.bell_key(QUEUE))
    for _ in range(bells):
        redis_client().rpush(window.bell_key(QUEUE), 1)

    waiting = window.wait(redis_client(), QUEUE, 0.01)

    assert (waiting, redis_client().exists(window.bell_key(QUEUE))) == (len(MIXED), 0)


def test_wait_without_a_bell_ends_with_its_time():
    assert window.wait(redis_client(), QUEUE, 0.01) == 0


def test_clear_forgets_the_ids_of_its_queue_only():
    window.push(QUEUE, MIXED)
    window.push("create_payment", [(1, AGED)])

    window.clear(QUEUE)

    assert (window.ids(QUEUE), window.ids("create_payment")) == (set(), {1})


def test_list_keys_are_in_the_order_of_urgency():
    priorities = ["outbox:q:0", "outbox:q:1", "outbox:q:2", "outbox:q:3"]

    assert window.list_keys("q") == [*priorities, "outbox:q:aged"]
    assert window.list_keys("q", aged_first=True) == ["outbox:q:aged", *priorities]


@pytest.mark.parametrize("call", [window.lengths, window.ids, window.clear])
def test_window_with_redis_away_says_so(redis_away, call):
    with pytest.raises(redis.RedisError):
        call(QUEUE)
