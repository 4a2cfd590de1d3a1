"""The processes of what is measured: they run only meanwhile, and end in every case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runtime.exceptions import RuntimeProblem
from runtime.logs import tail
from runtime.service import Service
from runtime.stopping import StopRequest
from runtime.supervisor import Supervisor

PATIENCE_SECONDS = 300.0


class Running:
    """Processes that run; one that ends by itself ends the benchmark."""

    def __init__(self, supervisor: Supervisor, stop: StopRequest) -> None:
        self._supervisor = supervisor
        self._stop = stop

    def wait_for(self, condition: Callable[[], bool], *, what: str, poll: float = 0.05) -> None:
        """Poll every `poll` seconds until `condition` holds; `RuntimeProblem` after five minutes."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            self._stop.check()
            self._check_alive()
            if time.monotonic() > deadline:
                raise RuntimeProblem(f"Not within {PATIENCE_SECONDS:g} s: {what}.{self._logs()}")
            time.sleep(poll)

    def _check_alive(self) -> None:
        for name in self._supervisor.names:
            if not self._supervisor.is_alive(name):
                raise RuntimeProblem(f"{name} has ended.{self._logs()}")

    def _logs(self) -> str:
        logs = (self._supervisor.log(name) for name in self._supervisor.names)
        return "".join(f"\n{log.name}:\n{tail(log)}" for log in logs)


@contextmanager
def running(
    services: Sequence[Service], *, directory: Path, stop: StopRequest
) -> Iterator[Running]:
    """Start the services, with their logs below `directory`; stop them all at the end."""
    directory.mkdir(exist_ok=True)
    supervisor = Supervisor(directory, say=_say_nothing)
    try:
        for service in services:
            supervisor.start(service)
        yield Running(supervisor, stop)
    finally:
        supervisor.stop()


def _say_nothing(text: str) -> None:
    pass
