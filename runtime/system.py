"""One system: its state directory, servers, environment and services."""

from __future__ import annotations

import logging
import os

import httpx

from runtime import django_steps, servers
from runtime.console import Console
from runtime.environment import build_environment
from runtime.exceptions import RuntimeProblem
from runtime.ledger import Ledger
from runtime.logs import tail
from runtime.services import services
from runtime.state import StateDir
from runtime.stopping import StopRequest
from runtime.supervisor import Supervisor

READY_SECONDS = 60.0


class System:
    """A system in an opened state directory. Whatever a start reached, `stop()` ends all of it."""

    def __init__(self, state: StateDir, *, port: int, console: Console, stop: StopRequest) -> None:
        self.state = state
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.environment: dict[str, str] = {}
        self.supervisor = Supervisor(state.path, say=console.say)
        # A sandbox of the user's own is not started here.
        self._sandbox_port = None if os.environ.get("SANDBOX_URL") else state.port("sandbox")
        self._console = console
        self._stop = stop
        _log_to_file(state)

    def start_servers(self) -> None:
        """Start PostgreSQL and Valkey and put the environment together, also for this process."""
        parts = self.state, self.supervisor, self._console, self._stop
        self.environment = build_environment(
            self.state,
            database_url=servers.start_postgres(*parts),
            redis_url=servers.start_valkey(*parts),
            port=self.port,
            sandbox_port=self._sandbox_port,
        )
        os.environ.update(self.environment)
        self.state.save_environment(self.environment)

    def start(self) -> None:
        """Start everything; return once the system answers requests.

        Raises `RuntimeProblem` if it does not within a minute.
        """
        self.start_servers()
        django_steps.prepare(self._console, self._stop)
        from runtime.watchdogs import watchdogs  # noqa: PLC0415 - only after Django's setup

        self.supervisor.watchdogs = watchdogs()
        with self._console.step("Starting web, sandbox and queues"):
            for service in services(
                self.environment, port=self.port, sandbox_port=self._sandbox_port
            ):
                self.supervisor.start(service)
            self._wait_until_ready()

    def stop(self) -> None:
        """Stop everything; takes at most 20 seconds."""
        self.supervisor.stop()
        (self.state.path / "environment.json").unlink(missing_ok=True)
        self.state.close()

    def _wait_until_ready(self) -> None:
        if not self._stop.wait_for(self._tick_until_ready, seconds=READY_SECONDS):
            raise RuntimeProblem(
                f"{self.address}/readyz does not answer 200. The end of "
                f"{self.supervisor.log('web')}:\n{tail(self.supervisor.log('web'))}"
            )

    def _tick_until_ready(self) -> bool:
        self.supervisor.tick()
        try:
            # Not through a proxy that the environment may name.
            return httpx.get(f"{self.address}/readyz", timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False


def clean_up_after_killed(state: StateDir, console: Console) -> None:
    """Stop what a supervisor that was killed left running on this state directory."""
    Ledger(state.path / "processes.json").stop_leftovers(console.say)


def _log_to_file(state: StateDir) -> None:
    """Keep what the supervisor logs off the terminal; a failing watchdog logs every second."""
    handler = logging.FileHandler(state.path / "logs" / "supervisor.log", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("runtime")
    logger.handlers, logger.propagate = [handler], False
