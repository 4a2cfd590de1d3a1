"""The CPU that a whole idle Sluice uses. Run as a program: `… idle_cpu SECONDS RESULT_FILE`.

A program of its own, so that the system is started exactly as `make run` starts it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import psutil

from runtime.console import Console
from runtime.exceptions import RuntimeProblem
from runtime.stopping import Stopped, StopRequest
from runtime.system import System
from runtime.throwaway import throwaway_system

# Until everything is loaded and the watchdogs look.
SETTLE_SECONDS = 15
SUPERVISOR = "supervisor"


def main(seconds: int, result: Path) -> int:
    """Write the CPU seconds of each service, used in `seconds`, as JSON; return the exit code."""
    stop = StopRequest()
    stop.install()
    try:
        with throwaway_system(Console(), stop) as system:
            system.start()
            result.write_text(json.dumps(_measure(system, stop, seconds)))
    except RuntimeProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except Stopped:
        return 130
    return 0


def _measure(system: System, stop: StopRequest, seconds: int) -> dict[str, float]:
    until = StopRequest()
    supervising = threading.Thread(target=system.supervisor.run, args=(until,))
    supervising.start()
    try:
        _sleep(SETTLE_SECONDS, stop)
        before = _cpu_seconds(system)
        _sleep(seconds, stop)
        after = _cpu_seconds(system)
    finally:
        until.requested = True
        supervising.join()
    return {name: after[name] - before[name] for name in before}


def _cpu_seconds(system: System) -> dict[str, float]:
    """Return what each service has used since its start; this process is the supervisor."""
    names = system.supervisor.names
    used = {name: _of_tree(system.supervisor.pid(name)) for name in names}
    return {**used, SUPERVISOR: _of_process(psutil.Process(os.getpid()))}


def _of_tree(pid: int | None) -> float:
    # By parent, not by process group: each PostgreSQL backend has a group of its own.
    process = psutil.Process(pid)
    return sum(_of_process(member) for member in [process, *process.children(recursive=True)])


def _of_process(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and of its children that have ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system + times.children_user + times.children_system


def _sleep(seconds: int, stop: StopRequest) -> None:
    for _ in range(seconds):
        stop.check()
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
