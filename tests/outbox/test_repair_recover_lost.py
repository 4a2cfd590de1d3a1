from __future__ import annotations

import pytest
import redis

from outbox.models import Attempt, Priority
from outbox.redis_client import client as redis_client
from outbox.relay import Relay, move_due
from outbox.repair import LOST_SECONDS, overdue_queues, recover_lost, unqueue
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


def test_unqueue_leaves_what_a_worker_has_claimed_meanwhile():
    queued, (leased, _) = queued_row(), leased_row()

    assert unqueue([queued.id, leased.id, pending_row().id]) == 1
    assert (state_of(queued), state_of(leased)) == ("pending", "processing")


def test_overdue_queues_have_rows_that_were_queued_some_time_ago():
    for queue in (QUEUE, QUEUE, "create_payment"):
        move_time(queued_row(queue=queue), "queued_at", -LOST_SECONDS - 0.01)
    move_time(queued_row(queue="verify_document"), "queued_at", 60)
    move_time(leased_row(queue="verify_document")[0], "queued_at", -3600)

    assert sorted(overdue_queues()) == ["create_payment", QUEUE]


def test_repair_recovers_lost_rows_of_every_queue():
    rows = [queued_row(queue=queue) for queue in (QUEUE, "create_payment")]
    for row in rows:
        move_time(row, "queued_at", -LOST_SECONDS - 1)

    Relay().repair()

    assert [state_of(row) for row in rows] == ["pending", "pending"]
