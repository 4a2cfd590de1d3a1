"""Clusters that are told to stop in the middle of it, and a worker that comes back from the dead."""

from __future__ import annotations

import signal
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from outbox.models import Attempt, Outbox
from outbox.workers import live_workers
from runtime.service import Service
from tests.integration.backlog import (
    PATIENCE,
    QUEUE,
    all_delivered,
    attempts_of,
    database_time,
    delivered,
    insert_rows,
    one_success_each,
)
from tests.integration.cluster_app.flags import Flags
from tests.integration.clusters import (
    CLUSTER_SETTINGS,
    Cluster,
    members,
    pid_of,
    running_clusters,
)
from tests.outbox.rows import move_time, outcomes
from tests.waiting import wait_until

WORKERS = settings.WORKERS_PER_QUEUE
# What the supervisor gives a cluster before it kills what is left.
((_, STOP_SECONDS),) = Service("", (), {}, Path()).stop_signals

pytestmark = pytest.mark.django_db(transaction=True)


def tell_to_stop(cluster: Cluster) -> tuple[int, set[int]]:
    """Return the cluster's exit code, and what is left of its processes."""
    cluster.send_signal(signal.SIGTERM)
    return cluster.wait(STOP_SECONDS), members(cluster)


def test_cluster_that_is_told_to_stop_under_load_repeats_nothing(tmp_path):
    rows = insert_rows(1_000)

    with running_clusters("relay", state_dir=tmp_path):
        with running_clusters(QUEUE, state_dir=tmp_path, settings=CLUSTER_SETTINGS) as clusters:
            wait_until(lambda: delivered() > 100, within=PATIENCE)
            stopped = tell_to_stop(clusters[QUEUE])
        done = list(Outbox.objects.filter(state="delivered").values_list("id", flat=True))
        before = attempts_of(rows)
        others = set(Outbox.objects.exclude(id__in=done).values_list("state", "attempt_count"))
        with running_clusters(QUEUE, state_dir=tmp_path, settings=CLUSTER_SETTINGS):
            wait_until(lambda: all_delivered(rows), within=PATIENCE)

    assert stopped == (0, set())
    assert 100 < len(done) < 1_000
    assert before == one_success_each(done)
    assert others <= {("pending", 0), ("queued", 0)}
    assert attempts_of(rows) == one_success_each(rows)


def test_cluster_that_is_told_to_stop_gives_back_the_row_of_a_handler_that_hangs(tmp_path):
    flags = Flags(tmp_path)
    flags.gate_closed.touch()
    rows = insert_rows(WORKERS + 3, handler="pass_gate")
    budget = Outbox.objects.get(pk=rows[0]).max_attempts

    with running_clusters(
        "relay", QUEUE, state_dir=tmp_path, settings=CLUSTER_SETTINGS
    ) as clusters:
        wait_until(lambda: len(flags.waiting()) == WORKERS, within=PATIENCE)
        stopped = tell_to_stop(clusters[QUEUE])

    assert stopped == (0, set())
    assert attempts_of(rows) == [(row_id, 1, "given_back") for row_id in rows[:WORKERS]]
    left = Outbox.objects.order_by("id").values_list("attempt_count", "max_attempts")
    assert list(left) == [(1, budget + 1)] * WORKERS + [(0, budget)] * 3
    assert not Outbox.objects.exclude(state__in=("pending", "queued")).exists()


def test_worker_that_comes_back_from_the_dead_changes_nothing(tmp_path):
    flags = Flags(tmp_path)
    flags.gate_closed.touch()
    (row_id,) = insert_rows(1, handler="leave_trace")
    row = Outbox.objects.get(pk=row_id)

    with running_clusters("relay", QUEUE, state_dir=tmp_path, settings=CLUSTER_SETTINGS):
        wait_until(lambda: len(flags.waiting()) == 1, within=PATIENCE)
        row.refresh_from_db()
        zombie = psutil.Process(pid_of(row.worker))
        zombie.suspend()
        move_time(row, "lease_expires_at", -1)
        wait_until(lambda: len(flags.waiting()) == 2, within=PATIENCE)
        flags.gate_closed.unlink()
        wait_until(lambda: all_delivered([row_id]), within=PATIENCE)
        history = list(Attempt.objects.filter(outbox=row).values())
        delivered_row = Outbox.objects.filter(pk=row_id).values().get()
        woken = database_time()
        zombie.resume()
        # Its next turn has begun, so the one that it was stopped in is over.
        wait_until(lambda: zombie.pid in workers_seen_since(woken), within=PATIENCE)

    assert outcomes(row) == [(1, "lease_expired"), (2, "succeeded")]
    assert list(Attempt.objects.filter(outbox=row).values()) == history
    assert Outbox.objects.filter(pk=row_id).values().get() == delivered_row
    effects = Outbox.objects.filter(event_type="test_trace_left")
    assert [effect.payload for effect in effects] == [{"of": row_id}]


def workers_seen_since(time: datetime) -> set[int]:
    return {
        pid_of(worker.name)
        for worker in live_workers()
        if worker.row_id is None and worker.seen_at > time
    }
