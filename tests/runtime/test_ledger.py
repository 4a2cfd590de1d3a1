from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.ledger import Ledger
from runtime.processes import ProcessId
from runtime.state import StateDir
from tests.runtime.conftest import WaitUntil

# A supervisor whose service has a grandchild; it is killed, so neither is stopped.
SUPERVISOR = """
import os, sys, time
from pathlib import Path
from runtime.service import Service
from runtime.supervisor import Supervisor

code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(300)'])"
supervisor = Supervisor(Path(sys.argv[1]), say=print)
supervisor.start(Service("script", (sys.executable, "-c", code), env={}, cwd=Path("/")))
while True:
    supervisor.tick()
    time.sleep(0.05)
"""


@pytest.fixture
def orphans(state: StateDir, wait_until: WaitUntil) -> Iterator[list[ProcessId]]:
    """A main process and its grandchild, left by a supervisor that was killed."""
    supervisor = subprocess.Popen((sys.executable, "-c", SUPERVISOR, str(state.path)))
    file = state.path / "processes.json"

    def members() -> list[list[float]]:
        return json.loads(file.read_text())[0]["members"] if file.exists() else []

    # The supervisor writes the members down once a second.
    wait_until(lambda: len(members()) == 2)
    supervisor.kill()
    supervisor.wait()
    orphans = [ProcessId(int(pid), created) for pid, created in members()]
    yield orphans
    for orphan in orphans:
        if orphan.lives():
            os.kill(orphan.pid, signal.SIGKILL)


def test_leftovers_of_a_killed_supervisor_are_stopped(
    state: StateDir, orphans: list[ProcessId], said: list[str]
) -> None:
    Ledger(state.path / "processes.json").stop_leftovers(said.append)

    assert [orphan.lives() for orphan in orphans] == [False, False]
    assert said == ["Stopping what a killed Sluice left running: script"]
    assert not (state.path / "processes.json").exists()


def test_leftovers_are_stopped_even_if_the_main_process_is_gone(
    state: StateDir, orphans: list[ProcessId], said: list[str]
) -> None:
    ledger = Ledger(state.path / "processes.json")
    (main,) = (o for o in orphans if o.pid == os.getpgid(o.pid))
    os.kill(main.pid, signal.SIGKILL)

    ledger.stop_leftovers(said.append)

    assert [orphan.lives() for orphan in orphans] == [False, False]


def test_a_reused_pid_is_left_alone(state: StateDir, said: list[str]) -> None:
    stranger = subprocess.Popen(
        (sys.executable, "-c", "import time; time.sleep(300)"), start_new_session=True
    )
    try:
        known = ProcessId.of(stranger.pid)
        entry = {
            "name": "script",
            "pid": known.pid,
            "create_time": known.create_time - 60,
            "members": [[known.pid, known.create_time - 60]],
            "stop": [[int(signal.SIGTERM), 1.0]],
            "stop_order": 0,
        }
        path: Path = state.path / "processes.json"
        path.write_text(json.dumps([entry]))

        Ledger(path).stop_leftovers(said.append)

        assert known.lives()
        assert said == []
    finally:
        stranger.kill()
        stranger.wait()
