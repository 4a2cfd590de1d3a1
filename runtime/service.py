"""What the supervisor runs: a service, and one service's process over its lives."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runtime.processes import GroupStop, ProcessGroup, ProcessId, StopSignals
from runtime.system_user import SystemUser

LOG_ROTATE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class Service:
    """One program to keep running.

    `stop_signals` go to the main process only: django-q2's own children die badly if they are
    signalled. Services with a lower `stop_order` are stopped before those with a higher one.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    user: SystemUser | None = None
    stop_signals: StopSignals = ((signal.SIGTERM, 12.0),)
    stop_order: int = 0


class Child:
    """The process of one service: started, watched, stopped, started again."""

    def __init__(self, service: Service, log: Path) -> None:
        self.service = service
        self.log = log
        self.group: ProcessGroup | None = None
        self.stop: GroupStop | None = None
        self.failures = 0
        self.started_at = 0.0
        self.start_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, now: float) -> None:
        """Start the program in a session of its own, so that Ctrl-C does not reach it.

        Raises OSError if the program cannot be started.
        """
        user, service = self.service.user, self.service
        with _open_log(self.log) as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own list of programs
                service.argv,
                env=dict(service.env),
                cwd=service.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
            )
        self.group = ProcessGroup(ProcessId.of(self._process.pid))
        self.started_at, self.start_at, self.stop = now, None, None

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def begin_stop(self, now: float, *, at_once: bool = False) -> None:
        """Start stopping; `advance_stop` does the rest. Nothing happens if it is stopping already.

        `at_once` leaves out the signals that ask for it.
        """
        if self.group and not self.stop:
            signals = () if at_once else self.service.stop_signals
            self.stop = GroupStop(self.group, signals, now)

    def advance_stop(self, now: float) -> bool:
        """Return True once nothing of the service runs any more."""
        done = self.stop is None or self.stop.advance(now)
        self.is_alive()  # takes the exit code, or the process would stay as a zombie
        return done

    def ending(self) -> str:
        code = self._process.returncode if self._process else None
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"


def _open_log(path: Path) -> BinaryIO:
    if path.exists() and path.stat().st_size > LOG_ROTATE_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")
