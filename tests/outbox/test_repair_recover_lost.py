from __future__ import annotations

import pytest
import redis
from django.db import connection

from outbox import relay, window
from outbox.models import Attempt, Priority
from outbox.redis_client import client as redis_client
from outbox.relay import LOST_SECONDS, Relay, move_due, next_due_seconds, recover_lost, window_size
from tests.outbox.rows import QUEUE, leased_row, move_time, pending_row, queued_row, state_of

pytestmark = pytest.mark.django_db


def test_recover_lost_after_redis_lost_its_data_uses_no_attempt():
    row = pending_row()
    move_due(QUEUE, limit=1)
    redis_client().flushall()
    move_time(row, "queued_at", -LOST_SECONDS - 1)

    assert recover_lost(QUEUE) == 1
    row.refresh_from_db()
    assert (row.state, row.queued_at, row.attempt_count) == ("pending", None, 0)
    assert not Attempt.objects.exists()


def test_recover_lost_gives_a_popped_id_time_to_reach_its_worker():
    row = queued_row()
    move_time(row, "queued_at", -LOST_SECONDS + 2)

    assert recover_lost(QUEUE) == 0
    assert state_of(row) == "queued"


def test_recover_lost_leaves_an_id_that_is_still_on_a_list():
    row = pending_row()
    move_due(QUEUE, limit=1)
    move_time(row, "queued_at", -3600)

    assert recover_lost(QUEUE) == 0
    assert state_of(row) == "queued"


def test_recover_lost_takes_only_the_lost_of_several_rows():
    kept, lost = pending_row(priority=Priority.LOW), pending_row(priority=Priority.HIGH)
    move_due(QUEUE, limit=2)
    redis_client().delete(f"outbox:{QUEUE}:{Priority.HIGH.value}")
    for row in (kept, lost):
        move_time(row, "queued_at", -LOST_SECONDS - 1)

    assert recover_lost(QUEUE) == 1
    assert (state_of(kept), state_of(lost)) == ("queued", "pending")


def test_recover_lost_leaves_leased_rows_and_other_queues():
    leased, _ = leased_row()
    other = queued_row(queue="create_payment")
    for row in (leased, other):
        move_time(row, "queued_at", -3600)

    assert recover_lost(QUEUE) == 0
    assert (state_of(leased), state_of(other)) == ("processing", "queued")


def test_recover_lost_with_redis_away_cannot_know(redis_away):
    row = queued_row()
    move_time(row, "queued_at", -3600)

    with pytest.raises(redis.ConnectionError):
        recover_lost(QUEUE)
    assert state_of(row) == "queued"


def test_recover_lost_is_not_disturbed_by_garbage_on_a_list():
    redis_client().rpush(f"outbox:{QUEUE}:2", b"\xff not an id", b"")
    row = queued_row()
    move_time(row, "queued_at", -3600)

    assert recover_lost(QUEUE) == 1


def test_repair_with_redis_away_still_takes_back_expired_leases(redis_away):
    row, _ = leased_row()
    move_time(row, "lease_expires_at", -1)
    move_time(queued_row(), "queued_at", -3600)

    Relay().repair()

    assert state_of(row) == "pending"


def _end_attempts(count: int, *, queue: str = QUEUE, seconds_ago: float = 1) -> None:
    """As if `count` attempts of a queue had ended some seconds ago."""
    row = pending_row(queue=queue, state="delivered")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO outbox_attempt (outbox_id, number, worker, outcome, ended_at)
            SELECT %s, number, '', 'succeeded', clock_timestamp() - make_interval(secs => %s)
            FROM generate_series(1, %s) AS number
            """,
            [row.id, seconds_ago, count],
        )


@pytest.mark.parametrize(
    ("ended", "size"),
    [
        (0, relay.WINDOW_MIN),
        (50, relay.WINDOW_MIN),
        (100, 20),
        (500, 100),
        (5_000, 1_000),
        (6_000, relay.WINDOW_MAX),
    ],
)
def test_window_size_is_two_seconds_of_the_drain_within_its_bounds(ended: int, size: int):
    _end_attempts(ended)

    assert window_size(QUEUE) == size


def test_window_size_looks_only_at_its_queue_and_the_last_seconds():
    _end_attempts(500, queue="create_payment")
    _end_attempts(500, seconds_ago=relay.DRAIN_SAMPLE_SECONDS + 1)

    assert window_size(QUEUE) == relay.WINDOW_MIN


def test_repair_sets_the_windows_that_tick_fills():
    _end_attempts(100)
    for _ in range(25):
        pending_row()
    current = Relay()

    current.repair()
    current.tick()

    assert window.length(QUEUE) == 20


@pytest.mark.parametrize(
    ("due_in", "low", "high"),
    [([], 2, 2), ([60], 2, 2), ([-5], 2, 2), ([60, 1], 0.5, 1), ([-5, 1], 0.5, 1)],
)
def test_next_due_seconds_is_the_first_coming_row_within_the_limit(
    due_in: list[float], low: float, high: float
):
    for seconds in due_in:
        move_time(pending_row(), "available_at", seconds)

    assert low <= next_due_seconds(at_most=2) <= high


def test_next_due_seconds_looks_only_at_pending_rows():
    move_time(queued_row(), "available_at", 1)

    assert next_due_seconds(at_most=2) == 2
