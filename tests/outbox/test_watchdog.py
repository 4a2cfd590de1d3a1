from __future__ import annotations

import pytest
from django.db import connection

from outbox import flow
from outbox.models import RelayRun
from outbox.queues import queues
from outbox.watchdog import RELAY_STALE_SECONDS, relay_is_stale, stuck_queues
from outbox.workers import LIVE_SECONDS
from tests.outbox.rows import QUEUE, leased_row, move_time, queued_row, seen_worker

pytestmark = pytest.mark.django_db


def ran(seconds: float) -> None:
    """As if a run of the relay had ticked `seconds` from now."""
    run = RelayRun.objects.create(worker="w")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_relay_run SET ticked_at = clock_timestamp() + make_interval(secs => %s)"
            " WHERE id = %s",
            [seconds, run.id],
        )


@pytest.fixture
def others_live(db: None) -> None:
    """Every queue but QUEUE has a worker that was seen just now."""
    for queue in queues().keys() - {QUEUE}:
        seen_worker(f"{queue}:1", queue)


@pytest.mark.parametrize(
    ("ticks", "stale"),
    [
        ([], True),
        ([-RELAY_STALE_SECONDS - 1], True),
        ([-RELAY_STALE_SECONDS + 2], False),
        ([-3600, -1], False),
    ],
)
def test_relay_is_stale_when_no_run_has_ticked_lately(ticks: list[float], stale: bool):
    for seconds in ticks:
        ran(seconds)

    assert relay_is_stale() is stale


def test_stuck_queues_names_every_queue_without_a_worker_in_order():
    assert stuck_queues() == ["apply_payment_event", "create_payment", QUEUE, "verify_document"]


@pytest.mark.parametrize(
    ("seen", "stuck"), [(-LIVE_SECONDS - 0.01, [QUEUE]), (-LIVE_SECONDS + 5, []), (-1, [])]
)
def test_stuck_queues_names_a_queue_whose_worker_was_not_seen_lately(
    others_live, seen: float, stuck: list[str]
):
    seen_worker("host:1", seconds=seen)

    assert stuck_queues() == stuck


def test_stuck_queues_needs_only_one_worker_to_be_seen(others_live):
    seen_worker("host:1", seconds=-3600)
    seen_worker("host:2")

    assert stuck_queues() == []


def test_stuck_queues_leaves_a_queue_whose_worker_is_busy_with_a_row(others_live):
    leased_row()

    assert stuck_queues() == []


def test_stuck_queues_names_a_queue_whose_busy_worker_has_lost_its_lease(others_live):
    row, _ = leased_row()
    move_time(row, "lease_expires_at", -1)

    assert stuck_queues() == [QUEUE]


def test_stuck_queues_leaves_a_queue_with_work_that_its_workers_may_not_start(others_live):
    move_time(queued_row(), "queued_at", -3600)
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")
    seen_worker("host:1")

    assert stuck_queues() == []
