from __future__ import annotations

import pytest
from django.db import OperationalError

from outbox import broker, watchdog
from runtime.state import StateDir
from runtime.supervisor import Supervisor
from runtime.watchdogs import (
    RELAY_GRACE_SECONDS,
    START_SECONDS,
    STUCK_LOOKS,
    QueueWatchdog,
    RelayWatchdog,
)

SLEEP = "import time; time.sleep(300)"


class RecordingSupervisor(Supervisor):
    """Notes what it is asked to restart."""

    age = START_SECONDS + 1
    names = ["send_email"]
    restarted: list[str]

    def seconds_running(self, name: str) -> float:
        return self.age

    def restart(self, name: str, *, reason: str) -> None:
        self.restarted.append(name)


@pytest.fixture
def recording(state: StateDir) -> RecordingSupervisor:
    supervisor = RecordingSupervisor(state.path, say=print)
    supervisor.restarted = []
    return supervisor


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs of the relay that were enqueued."""
    enqueued: list[str] = []
    monkeypatch.setattr(broker, "enqueue_relay_run", lambda: enqueued.append("run"))
    return enqueued


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "relay_is_stale", lambda: True)


def test_relay_that_does_not_tick_gets_a_run_and_then_a_new_cluster(recording, runs, stale):
    times = iter([0.0, RELAY_GRACE_SECONDS - 1, RELAY_GRACE_SECONDS + 1])
    watch = RelayWatchdog(clock=times.__next__)

    watch(recording)
    watch(recording)
    assert (runs, recording.restarted) == (["run"], [])

    watch(recording)
    assert (runs, recording.restarted) == (["run"], ["relay"])


def test_relay_that_ticks_again_is_left_alone(recording, runs, monkeypatch):
    answers = iter([True, False, True])
    monkeypatch.setattr(watchdog, "relay_is_stale", answers.__next__)
    watch = RelayWatchdog(clock=iter([0.0, 100.0]).__next__)

    for _ in range(3):
        watch(recording)

    assert (runs, recording.restarted) == (["run", "run"], [])


def test_relay_that_has_just_started_is_left_alone(recording, runs, stale):
    recording.age = START_SECONDS - 1

    RelayWatchdog()(recording)

    assert (runs, recording.restarted) == ([], [])


def look(recording: RecordingSupervisor, monkeypatch, answers: list[list[str]]) -> None:
    monkeypatch.setattr(watchdog, "stuck_queues", iter(answers).__next__)
    watch = QueueWatchdog()
    for _ in answers:
        watch(recording)


def test_queue_that_stays_stuck_gets_a_new_cluster(recording, monkeypatch):
    look(recording, monkeypatch, [["send_email"]] * STUCK_LOOKS)

    assert recording.restarted == ["send_email"]


def test_queue_that_moves_again_is_left_alone(recording, monkeypatch):
    stuck = [["send_email"]] * (STUCK_LOOKS - 1)

    look(recording, monkeypatch, [*stuck, [], *stuck])

    assert recording.restarted == []


def test_queue_is_left_alone_when_the_database_was_away_in_between(recording, monkeypatch):
    watch = QueueWatchdog()
    monkeypatch.setattr(watchdog, "stuck_queues", lambda: ["send_email"])
    for _ in range(STUCK_LOOKS - 1):
        watch(recording)

    def away() -> list[str]:
        raise OperationalError

    monkeypatch.setattr(watchdog, "stuck_queues", away)
    with pytest.raises(OperationalError):
        watch(recording)
    monkeypatch.setattr(watchdog, "stuck_queues", lambda: ["send_email"])
    watch(recording)

    assert recording.restarted == []


def test_stuck_queue_whose_cluster_has_just_started_is_left_alone(recording, monkeypatch):
    recording.age = START_SECONDS - 1

    look(recording, monkeypatch, [["send_email"]] * STUCK_LOOKS)

    assert recording.restarted == []


def test_stuck_queue_that_is_not_served_here_is_left_alone(recording, monkeypatch):
    look(recording, monkeypatch, [["create_payment", "send_email"]] * STUCK_LOOKS)

    assert recording.restarted == ["send_email"]
