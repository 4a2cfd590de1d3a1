"""A PostgreSQL that still runs on our data, though nobody looks after it any more."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

FAST_SHUTDOWN_SECONDS = 10.0
IMMEDIATE_SHUTDOWN_SECONDS = 5.0


def stop(data_dir: Path) -> None:
    """Stop every PostgreSQL process on `data_dir` and make sure that a new one can start.

    The list of processes of the former supervisor normally sees to it; this also finds a server
    whose supervisor died before it could write it down, and backends whose postmaster was killed.
    """
    postmaster = _postmaster_pid(data_dir)
    left = _processes_on(data_dir)
    for process in left:
        if process.pid == postmaster:
            _signal(process, signal.SIGINT)
    # Backends end by themselves once their postmaster is gone.
    _, left = psutil.wait_procs(left, timeout=FAST_SHUTDOWN_SECONDS)
    for process in left:
        _signal(process, signal.SIGQUIT)
    _, left = psutil.wait_procs(left, timeout=IMMEDIATE_SHUTDOWN_SECONDS)
    for process in left:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=IMMEDIATE_SHUTDOWN_SECONDS)
    _forget_reused_pid(data_dir)


def _forget_reused_pid(data_dir: Path) -> None:
    """Remove a postmaster.pid whose pid is now someone else's; PostgreSQL would not start.

    That is common after a restart of a container, where pids are small. Only after `stop` has
    found that no PostgreSQL runs here: the file also guards the shared memory.
    """
    pid = _postmaster_pid(data_dir)
    if pid and psutil.pid_exists(pid) and not _processes_on(data_dir):
        (data_dir / "postmaster.pid").unlink(missing_ok=True)


def _postmaster_pid(data_dir: Path) -> int | None:
    try:
        return int((data_dir / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _processes_on(data_dir: Path) -> list[psutil.Process]:
    """Return the server and its backends: all of them work in the data directory."""
    target = str(data_dir.resolve())
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if process.info["name"] == "postgres" and process.cwd() == target:
                found.append(process)
        except psutil.Error:
            continue  # gone meanwhile, or another user's
    return found


def _signal(process: psutil.Process, signum: signal.Signals) -> None:
    try:
        process.send_signal(signum)
    except psutil.NoSuchProcess:
        pass
