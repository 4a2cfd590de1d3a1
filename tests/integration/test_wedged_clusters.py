"""The death of an idle worker can wedge a django-q2 cluster: the watchdog has to see it and help."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings

from outbox import watchdog, workers
from outbox.queues import queues
from outbox.watchdog import stuck_queues
from runtime import watchdogs
from runtime.services import services
from runtime.supervisor import Supervisor
from runtime.watchdogs import QueueWatchdog
from tests.integration.backlog import (
    QUEUE,
    all_delivered,
    attempts_of,
    database_time,
    insert_rows,
    one_success_each,
)
from tests.integration.clusters import CLUSTER_SETTINGS, cluster_environment, pid_of
from tests.waiting import wait_until

PATIENCE = 40.0
WORKERS = settings.WORKERS_PER_QUEUE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead cluster is noticed sooner, though not before a healthy one has missed a ping."""
    monkeypatch.setattr(workers, "LIVE_SECONDS", 1.5 * workers.PING_SECONDS)
    monkeypatch.setattr(watchdogs, "START_SECONDS", 10.0)
    # The only one that is served here.
    monkeypatch.setattr(watchdog, "queues", lambda: {QUEUE: queues()[QUEUE]})


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    """The real one, with relay and one queue as its services."""
    supervisor = Supervisor(tmp_path, say=said.append, watchdogs=[QueueWatchdog()])
    environment = cluster_environment(tmp_path, settings=CLUSTER_SETTINGS)
    for service in services(environment, port=0, sandbox_port=None):
        if service.name in ("relay", QUEUE):
            supervisor.start(service)
    yield supervisor
    supervisor.stop()


def idle_workers() -> set[int]:
    """The workers that have had nothing to do for a second: they wait for their next task."""
    quiet_since = database_time() - timedelta(seconds=1)
    return {
        pid_of(worker.name)
        for worker in workers.live_workers()
        if worker.queue == QUEUE and worker.row_id is None and worker.seen_at < quiet_since
    }


def test_cluster_whose_idle_workers_were_killed_delivers_again(supervisor, said):
    """Of idle workers one waits for a task and holds a lock that the others need, and those that
    take their places: it dies with it."""
    wait_until(lambda: len(idle_workers()) == WORKERS, within=PATIENCE)
    for pid in idle_workers():
        os.kill(pid, signal.SIGKILL)
    rows = insert_rows(3)
    wait_until(lambda: all_delivered(rows) or stuck_queues() == [QUEUE], within=PATIENCE)
    is_wedged = not all_delivered(rows)

    def go_on() -> bool:
        supervisor.tick()
        supervisor.call_watchdogs()
        return all_delivered(rows)

    wait_until(go_on, within=PATIENCE)
    assert attempts_of(rows) == one_success_each(rows)
    restart = f"Restarting {QUEUE}: its workers give no sign of life"
    assert said == ([restart] if is_wedged else [])
