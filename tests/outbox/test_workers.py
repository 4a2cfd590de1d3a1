from __future__ import annotations

import os

import pytest

from outbox import workers
from outbox.models import Worker
from outbox.workers import KEEP_SECONDS, LIVE_SECONDS, beat, forget_old, live_workers, worker_name
from tests.outbox.rows import QUEUE, leased_row, move_time, seconds_until, seen_worker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def never_beaten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_last_beat", float("-inf"))


def live() -> list[tuple[str, str, int | None]]:
    return [(worker.name, worker.queue, worker.row_id) for worker in live_workers()]


def test_worker_name_says_which_process():
    assert worker_name().endswith(f":{os.getpid()}")


def test_beat_notes_the_worker_and_its_queue():
    beat(QUEUE)

    assert live() == [(worker_name(), QUEUE, None)]


def test_beat_right_after_another_one_writes_nothing(django_assert_num_queries):
    beat(QUEUE)

    with django_assert_num_queries(0):
        beat(QUEUE)


def test_beat_after_a_while_moves_the_sign_of_life(monkeypatch):
    seen_worker(worker_name(), "create_payment", seconds=-3600)
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0)

    beat(QUEUE)

    worker = Worker.objects.get()
    assert worker.queue == QUEUE
    assert seconds_until("outbox_worker", "name", worker.name, "seen_at") > -60
    assert worker.started_at < worker.seen_at


@pytest.mark.parametrize(
    ("seen", "found"), [(-LIVE_SECONDS - 0.01, []), (-LIVE_SECONDS + 5, [("w", QUEUE, None)])]
)
def test_live_workers_were_seen_lately(seen: float, found: list[object]):
    seen_worker("w", seconds=seen)

    assert live() == found


def test_live_workers_are_told_with_the_rows_that_they_work_on():
    seen_worker(worker_name())
    seen_worker("idle", "verify_document")
    seen_worker("another", "create_payment")
    row, _ = leased_row()

    row.refresh_from_db()
    assert live() == [
        ("another", "create_payment", None),
        (worker_name(), QUEUE, row.id),
        ("idle", "verify_document", None),
    ]
    busy = [worker.busy_since for worker in live_workers()]
    assert busy == [None, row.started_at, None]


def test_live_workers_include_one_that_is_known_only_by_its_lease():
    row, _ = leased_row()

    row.refresh_from_db()
    (worker,) = live_workers()
    assert (worker.name, worker.queue, worker.row_id) == (worker_name(), QUEUE, row.id)
    assert (worker.seen_at, worker.busy_since) == (row.started_at, row.started_at)


def test_live_workers_include_one_that_was_not_seen_while_its_lease_runs():
    row, _ = leased_row()
    seen_worker(worker_name(), seconds=-3600)

    assert live() == [(worker_name(), QUEUE, row.id)]


def test_live_workers_leave_out_one_whose_lease_has_expired():
    row, _ = leased_row()
    move_time(row, "lease_expires_at", -1)

    assert live() == []


def test_forget_old_deletes_only_workers_that_have_long_ended():
    seen_worker("gone", seconds=-KEEP_SECONDS - 1)
    seen_worker("recent", seconds=-KEEP_SECONDS + 60)

    forget_old()

    assert [worker.name for worker in Worker.objects.all()] == ["recent"]
