from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.processes import ProcessGroup, ProcessId
from runtime.service import Service
from runtime.state import StateDir
from runtime.stopping import StopRequest
from runtime.supervisor import Supervisor, backoff
from tests.runtime.conftest import WaitUntil

SLEEP = "import time; time.sleep(300)"
IGNORE_SIGTERM = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(os.environ["FOLDER"], "ready").touch()
time.sleep(300)
"""
# Its grandchild does not notice that its parent dies, as django-q2's workers.
WITH_GRANDCHILD = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
pathlib.Path(os.environ["FOLDER"], "ready").write_text(str(child.pid))
time.sleep(300)
"""

Script = Callable[..., Service]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clocked(state: StateDir, said: list[str], clock: Clock) -> Iterator[Supervisor]:
    supervisor = Supervisor(state.path, say=said.append, clock=clock)
    yield supervisor
    for name in supervisor.names:
        if pid := supervisor.pid(name):
            ProcessGroup(ProcessId(pid, 0)).kill()  # the clock stands: no deadline would come
    supervisor.stop()


def process_id(supervisor: Supervisor, name: str = "script") -> ProcessId:
    pid = supervisor.pid(name)
    assert pid
    return ProcessId.of(pid)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0.1), (1, 0.2), (4, 1.6), (6, 5.0), (10_000, 5.0)]
)
def test_backoff_doubles_up_to_five_seconds(failures: int, seconds: float) -> None:
    assert backoff(failures) == pytest.approx(seconds)


def test_start_runs_the_service_in_its_own_session_with_its_log(
    supervisor: Supervisor, script: Script, state: StateDir, wait_until: WaitUntil
) -> None:
    supervisor.start(
        script("import os, sys; print(os.getsid(0) == os.getpid(), flush=True);" + SLEEP)
    )

    log = state.path / "logs" / "script.log"
    wait_until(lambda: log.read_text() == "True\n")


def test_start_rotates_a_big_log(supervisor: Supervisor, script: Script, state: StateDir) -> None:
    log = state.path / "logs" / "script.log"
    with log.open("wb") as file:
        file.truncate(11 * 1024 * 1024)

    supervisor.start(script(SLEEP))

    assert log.stat().st_size == 0
    assert log.with_name("script.log.1").stat().st_size == 11 * 1024 * 1024


def test_start_fails_if_there_is_no_such_program(supervisor: Supervisor, state: StateDir) -> None:
    with pytest.raises(FileNotFoundError):
        supervisor.start(Service("missing", ("/nowhere/program",), env={}, cwd=Path("/")))

    assert supervisor.names == []


def test_tick_starts_a_dead_service_again_when_its_backoff_is_over(
    clocked: Supervisor, clock: Clock, script: Script, said: list[str], wait_until: WaitUntil
) -> None:
    clocked.start(script(SLEEP))
    first = process_id(clocked)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not clocked.is_alive("script"))

    clocked.tick()
    assert clocked.pid("script") == first.pid  # not yet
    clock.now += 0.11
    clocked.tick()

    assert process_id(clocked) != first
    assert clocked.is_alive("script")
    assert [line.split(" (log")[0] for line in said] == [
        "script ended (killed by SIGKILL); starting it again in 0.1 s"
    ]


def test_tick_waits_longer_after_each_death_and_forgets_after_health(
    clocked: Supervisor, clock: Clock, script: Script, said: list[str], wait_until: WaitUntil
) -> None:
    clocked.start(script(SLEEP))
    for healthy_seconds in (0, 0, 31):
        clock.now += healthy_seconds
        clocked.tick()
        os.kill(process_id(clocked).pid, signal.SIGKILL)
        wait_until(lambda: not clocked.is_alive("script"))
        clocked.tick()
        clock.now += 5
        clocked.tick()

    assert [line.split("again in ")[1].split(" s")[0] for line in said] == ["0.1", "0.2", "0.1"]


def test_tick_kills_grandchildren_of_a_dead_service(
    supervisor: Supervisor, script: Script, tmp_path: Path, wait_until: WaitUntil
) -> None:
    supervisor.start(script(WITH_GRANDCHILD))
    ready = tmp_path / "ready"
    wait_until(lambda: ready.exists() and ready.read_text() != "")
    grandchild = ProcessId.of(int(ready.read_text()))
    os.kill(process_id(supervisor).pid, signal.SIGKILL)
    wait_until(lambda: not supervisor.is_alive("script"))

    supervisor.tick()

    wait_until(lambda: not grandchild.lives())


def test_restart_replaces_a_running_service(
    supervisor: Supervisor, script: Script, said: list[str], wait_until: WaitUntil
) -> None:
    supervisor.start(script(SLEEP))
    first = process_id(supervisor)

    def restarted() -> bool:
        supervisor.tick()
        return supervisor.is_alive("script") and process_id(supervisor) != first

    supervisor.restart("script", reason="it hangs")
    wait_until(restarted)

    assert not first.lives()
    assert said == ["Restarting script: it hangs"]


def test_restart_does_not_wait_for_a_service_that_hangs(
    clocked: Supervisor, script: Script, tmp_path: Path, wait_until: WaitUntil
) -> None:
    clocked.start(script(IGNORE_SIGTERM, seconds=5))
    wait_until((tmp_path / "ready").exists)
    first = process_id(clocked)
    clocked.restart("script", reason="it hangs")

    def restarted() -> bool:
        clocked.tick()  # its clock stands still
        return clocked.pid("script") != first.pid

    wait_until(restarted)
    assert not first.lives()


def test_restart_of_an_unknown_service_is_an_error(supervisor: Supervisor) -> None:
    with pytest.raises(KeyError):
        supervisor.restart("nothing", reason="it hangs")


def test_seconds_running_is_zero_once_a_restart_was_asked_for(
    supervisor: Supervisor, script: Script
) -> None:
    supervisor.start(script(SLEEP))
    assert supervisor.seconds_running("script") > 0

    supervisor.restart("script", reason="it hangs")

    assert supervisor.seconds_running("script") == 0


def test_stop_ends_everything_and_its_grandchildren(
    supervisor: Supervisor, script: Script, tmp_path: Path, state: StateDir, wait_until: WaitUntil
) -> None:
    supervisor.start(script(WITH_GRANDCHILD, name="one"))
    supervisor.start(script(SLEEP, name="two"))
    ready = tmp_path / "ready"
    wait_until(lambda: ready.exists() and ready.read_text() != "")
    grandchild = ProcessId.of(int(ready.read_text()))
    mains = [process_id(supervisor, name) for name in ("one", "two")]

    supervisor.stop()

    assert [process.lives() for process in [*mains, grandchild]] == [False, False, False]
    assert json.loads((state.path / "processes.json").read_text()) == []


def test_stop_kills_at_the_deadline(
    supervisor: Supervisor, script: Script, tmp_path: Path, said: list[str], wait_until: WaitUntil
) -> None:
    supervisor.start(script(IGNORE_SIGTERM, seconds=0.2))
    wait_until((tmp_path / "ready").exists)
    main = process_id(supervisor)

    supervisor.stop()

    assert not main.lives()
    assert said[0].startswith("script killed after 0.")


def test_stop_ends_services_in_their_order(
    supervisor: Supervisor, script: Script, said: list[str]
) -> None:
    for name, order in (("last", 2), ("first", 0), ("middle", 1)):
        service = script(SLEEP, name=name)
        supervisor.start(
            Service(
                name=name,
                argv=service.argv,
                env=service.env,
                cwd=service.cwd,
                stop_order=order,
            )
        )

    supervisor.stop()

    assert [line.split()[0] for line in said] == ["first", "middle", "last"]


def test_processes_json_names_every_group_and_its_members(
    supervisor: Supervisor, script: Script, tmp_path: Path, state: StateDir, wait_until: WaitUntil
) -> None:
    supervisor.start(script(WITH_GRANDCHILD))
    ready = tmp_path / "ready"
    wait_until(lambda: ready.exists() and ready.read_text() != "")

    supervisor.tick()

    (entry,) = json.loads((state.path / "processes.json").read_text())
    main, grandchild = process_id(supervisor), ProcessId.of(int(ready.read_text()))
    assert (entry["name"], entry["pid"], entry["create_time"]) == (
        "script",
        main.pid,
        main.create_time,
    )
    assert [pid for pid, _ in entry["members"]] == sorted([main.pid, grandchild.pid])


def test_watchdogs_are_called_even_if_one_fails(state: StateDir) -> None:
    called: list[Supervisor] = []

    def failing(supervisor: Supervisor) -> None:
        raise RuntimeError("the database is down")

    supervisor = Supervisor(state.path, say=print, watchdogs=(failing, called.append))
    supervisor.call_watchdogs()

    assert called == [supervisor]


def test_run_calls_watchdogs_and_ends_when_asked_to(state: StateDir) -> None:
    called, stop = threading.Event(), StopRequest()

    def watchdog(supervisor: Supervisor) -> None:
        called.set()
        stop.requested = True

    supervisor = Supervisor(state.path, say=print, watchdogs=(watchdog,))
    supervisor.run(stop)
    supervisor.stop()

    assert called.is_set()
