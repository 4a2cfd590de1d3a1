from __future__ import annotations

from collections.abc import Callable

import pytest

from runtime.service import Service
from runtime.state import StateDir
from runtime.supervisor import Supervisor
from runtime.watchdogs import ClusterWatchdog

SLEEP = "import time; time.sleep(300)"


class RecordingSupervisor(Supervisor):
    """Notes what it is asked to restart."""

    age = 100.0

    def seconds_running(self, name: str) -> float:
        return self.age

    def restart(self, name: str) -> None:
        restarted.append(name)


restarted: list[str] = []


@pytest.fixture
def recording(state: StateDir) -> RecordingSupervisor:
    restarted.clear()
    return RecordingSupervisor(state.path, say=print)


def watch(supervisor: Supervisor, answers: list[list[str]], times: list[float]) -> list[str]:
    """Call a watchdog at these times (seconds), with these answers; return what was restarted."""
    watchdog = ClusterWatchdog(iter(answers).__next__, clock=iter(times).__next__)
    for _ in times:
        watchdog(supervisor)
    return restarted


def test_a_cluster_that_stays_stuck_is_restarted(recording: RecordingSupervisor) -> None:
    answers = [["send_email"], ["send_email"], ["send_email"]]

    assert watch(recording, answers, [0, 2.9, 3.1]) == ["send_email"]


def test_a_cluster_that_moves_again_is_left_alone(recording: RecordingSupervisor) -> None:
    answers = [["send_email"], [], ["send_email"]]

    assert watch(recording, answers, [0, 2, 4]) == []


def test_a_cluster_that_has_just_started_is_left_alone(recording: RecordingSupervisor) -> None:
    recording.age = 19.0

    assert watch(recording, [["relay"], ["relay"]], [0, 10]) == []


def test_a_question_that_fails_starts_the_wait_again(recording: RecordingSupervisor) -> None:
    answers = iter([["relay"], None, ["relay"]])

    def find_stuck() -> list[str]:
        answer = next(answers)
        if answer is None:
            raise ConnectionError
        return answer

    watchdog = ClusterWatchdog(find_stuck, clock=iter([0.0, 2.0, 4.0]).__next__)
    watchdog(recording)
    with pytest.raises(ConnectionError):
        watchdog(recording)
    watchdog(recording)

    assert restarted == []


def test_seconds_running_is_zero_once_a_restart_was_asked_for(
    supervisor: Supervisor, script: Callable[..., Service]
) -> None:
    supervisor.start(script(SLEEP))
    assert supervisor.seconds_running("script") > 0

    supervisor.restart("script")

    assert supervisor.seconds_running("script") == 0
