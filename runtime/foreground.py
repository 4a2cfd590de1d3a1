"""A command that has the terminal while servers run behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from runtime.state import PROJECT_DIR
from runtime.stopping import StopRequest

POLL_SECONDS = 0.05
INTERRUPT_SECONDS = 15.0


def run_foreground(
    argv: Sequence[str], *, env: Mapping[str, str], stop: StopRequest, tick: Callable[[], None]
) -> int:
    """Run a command to its end and return its exit code; call `tick` meanwhile.

    In a session of its own, so that Ctrl-C reaches it once, from us. Raises `Stopped` after it
    has ended (or was killed after 15 seconds) if a stop was asked for.
    """
    process = subprocess.Popen(  # noqa: S603 - our own commands
        argv, env=dict(env), cwd=PROJECT_DIR, start_new_session=True
    )
    kill_at: float | None = None
    while process.poll() is None:
        tick()
        now = time.monotonic()
        if stop.requested and kill_at is None:
            process.send_signal(signal.SIGINT)
            kill_at = now + INTERRUPT_SECONDS
        if kill_at is not None and now >= kill_at:
            break
        time.sleep(POLL_SECONDS)
    _kill_group(process.pid)
    process.wait()
    stop.check()
    return process.returncode


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nothing is left of it
