"""A Sluice started as its users start it, for tests from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from runtime.demo_client import DemoClient
from runtime.state import PROJECT_DIR
from runtime.stopping import StopRequest

START_SECONDS = 120.0
STOP_SECONDS = 25.0


class RunningSystem:
    """One `python -m runtime run` on a state directory of its own; `env` adds to its environment."""

    def __init__(
        self, state_dir: Path, port: int, output: Path, *, env: Mapping[str, str] | None = None
    ) -> None:
        self.state_dir = state_dir
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self._output = output
        # Only what a fresh shell has: this test may itself run in the environment of a system.
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "STATE_DIR": str(state_dir),
            "PORT": str(port),
            "WORKERS_PER_QUEUE": "1",
            **(env or {}),
        }
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                (sys.executable, "-m", "runtime", "run"),
                cwd=PROJECT_DIR,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        wait_for(lambda: self.is_ended() or self._is_announced(), seconds=START_SECONDS)
        assert not self.is_ended(), self.output()
        assert httpx.get(f"{self.address}/readyz", trust_env=False).status_code == 200

    def is_ended(self) -> bool:
        return self.process.poll() is not None

    def output(self) -> str:
        return self._output.read_text()

    def processes(self) -> list[psutil.Process]:
        """Return every process of the system but the supervisor itself.

        Known by their process groups, and by the state directory in environment, command line or
        working directory, which also finds one that has left its group.
        """
        groups = {entry["pid"] for entry in self.recorded()}
        return [
            process
            for process in psutil.process_iter()
            if process.pid != self.process.pid and self._is_part(process, groups)
        ]

    def recorded(self) -> list[dict[str, Any]]:
        file = self.state_dir / "processes.json"
        return list(json.loads(file.read_text())) if file.exists() else []

    def pid_of(self, name: str) -> int:
        (pid,) = (entry["pid"] for entry in self.recorded() if entry["name"] == name)
        return int(pid)

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Ask the supervisor to stop; return its exit code."""
        self.process.send_signal(signum)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL the supervisor; everything else goes on."""
        self.process.kill()
        self.process.wait()

    def _is_announced(self) -> bool:
        return f"Sluice runs at {self.address}" in self.output()

    def _is_part(self, process: psutil.Process, groups: set[int]) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return (
                os.getpgid(process.pid) in groups
                or str(self.state_dir) in " ".join(process.cmdline())
                or process.cwd().startswith(str(self.state_dir))
                or process.environ().get("STATE_DIR") == str(self.state_dir)
            )
        except (psutil.Error, ProcessLookupError):
            return False


def complete_an_application(address: str) -> str:
    """Submit, follow, pay and follow to the end, as a student; return the application's id."""
    client = DemoClient(address)
    try:
        client.sign_in("student@example.com", "sluice-demo")
        client.submit()
        follow(client, "awaiting_payment")
        client.pay()
        follow(client, "completed")
        return str(client.status["applicationId"])
    finally:
        client.close()


def follow(client: DemoClient, status: str) -> None:
    def is_reached() -> bool:
        client.follow()
        return client.status["status"] == status

    wait_for(is_reached, seconds=60)
    assert client.status["status"] == status


def wait_for(condition: Callable[[], bool], *, seconds: float = 30.0) -> bool:
    return StopRequest().wait_for(condition, seconds=seconds)
