from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from runtime.processes import GroupStop, ProcessGroup, ProcessId
from tests.runtime.conftest import WaitUntil

SLEEP = "import time; time.sleep(300)"
IGNORE_SIGTERM = (
    f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); {SLEEP}"
)
WITH_GRANDCHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print(flush=True); {SLEEP}"

Start = Callable[[str], tuple[subprocess.Popen[bytes], ProcessGroup]]


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def start(processes: list[subprocess.Popen[bytes]]) -> Start:
    def start(code: str) -> tuple[subprocess.Popen[bytes], ProcessGroup]:
        process = subprocess.Popen(
            (sys.executable, "-c", code), start_new_session=True, stdout=subprocess.PIPE
        )
        processes.append(process)
        if "print(flush=True)" in code:
            assert process.stdout
            process.stdout.readline()
        return process, ProcessGroup(ProcessId.of(process.pid))

    return start


def test_process_id_lives_until_the_process_has_ended(start: Start, wait_until: WaitUntil) -> None:
    process, group = start(SLEEP)
    assert group.leader.lives()

    process.kill()

    wait_until(lambda: not group.leader.lives())  # a zombie does not live
    process.wait()
    assert not group.leader.lives()


def test_process_id_does_not_live_if_another_process_has_its_pid(start: Start) -> None:
    process, group = start(SLEEP)

    assert not ProcessId(process.pid, group.leader.create_time - 60).lives()


def test_group_is_not_ours_if_no_known_process_lives(start: Start) -> None:
    process, group = start(SLEEP)
    stranger = ProcessId(process.pid, group.leader.create_time - 60)

    assert not ProcessGroup(stranger).is_ours()
    assert ProcessGroup(stranger, [group.leader]).is_ours()


def test_members_are_the_leader_and_its_descendants(start: Start) -> None:
    process, group = start(WITH_GRANDCHILD)

    members = group.members()

    assert group.leader in members
    assert len(members) == 2


def test_stop_ends_a_process_that_obeys_without_a_kill(start: Start, wait_until: WaitUntil) -> None:
    process, group = start(SLEEP)
    stop = GroupStop(group, [(signal.SIGTERM, 100.0)], now=0)

    wait_until(lambda: stop.advance(now=1))

    assert process.wait() == -signal.SIGTERM
    assert not stop.killed


def test_stop_takes_the_next_signal_when_its_time_has_come(
    start: Start, wait_until: WaitUntil
) -> None:
    process, group = start(IGNORE_SIGTERM)
    stop = GroupStop(group, [(signal.SIGTERM, 5.0), (signal.SIGINT, 5.0)], now=0)

    assert not stop.advance(now=0)
    assert not stop.advance(now=4.9)
    assert group.leader.lives()
    wait_until(lambda: stop.advance(now=5.1))

    assert process.wait() in {-signal.SIGINT, 1}


def test_stop_kills_what_ignores_every_signal(start: Start, wait_until: WaitUntil) -> None:
    process, group = start(IGNORE_SIGTERM)
    stop = GroupStop(group, [(signal.SIGTERM, 5.0)], now=0)

    assert not stop.advance(now=0)
    wait_until(lambda: stop.advance(now=5.1))

    assert process.wait() == -signal.SIGKILL
    assert stop.killed


def test_stop_kills_grandchildren_that_outlive_the_leader(
    start: Start, wait_until: WaitUntil
) -> None:
    process, group = start(WITH_GRANDCHILD)
    stop = GroupStop(group, [(signal.SIGTERM, 100.0)], now=0)

    wait_until(lambda: stop.advance(now=1))

    assert group.members() == frozenset()
    process.wait()
