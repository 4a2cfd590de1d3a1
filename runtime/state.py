"""The state directory: everything that a system keeps between two starts."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import TextIO

from runtime import ports
from runtime.exceptions import AlreadyRunning, RuntimeProblem
from runtime.files import write_private
from runtime.system_user import server_user

PROJECT_DIR = Path(__file__).resolve().parent.parent


class StateDir:
    """A state directory, opened by one supervisor at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: TextIO | None = None

    @classmethod
    def from_environment(cls) -> StateDir:
        return cls(Path(os.environ.get("STATE_DIR") or PROJECT_DIR / ".state").resolve())

    def open(self) -> None:
        """Make the directory if needed and lock it until this process ends.

        Raises `AlreadyRunning` if another supervisor has it.
        """
        try:
            self._make()
            lock = (self.path / "run.lock").open("a+")
        except OSError as error:
            raise RuntimeProblem(f"STATE_DIR cannot be used: {error}") from error
        if not _try_lock(lock):
            with lock:
                lock.seek(0)
                pid = lock.read()
            raise AlreadyRunning(
                f"Sluice already runs on {self.path} (process {pid or '?'}). "
                f"Stop it first, or start a second one: STATE_DIR=.state2 PORT=8001 make run"
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def close(self) -> None:
        """Unlock."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def is_in_use(self) -> bool:
        """Say whether a supervisor has the directory."""
        try:
            with (self.path / "run.lock").open("r+") as lock:
                return not _try_lock(lock)
        except FileNotFoundError:
            return False

    def secret(self, name: str, generated: str) -> str:
        """Return the secret kept under `name`; keep `generated` if there is none yet."""
        return str(self._remember("secrets.json", name, generated))

    def port(self, name: str) -> int:
        """Return a free port for `name`, the same at each start as long as it is free."""
        port = int(str(self._remember("ports.json", name, ports.free_port())))
        if ports.is_free(port):
            return port
        (known := self._read("ports.json"))[name] = ports.free_port()
        write_private(self.path / "ports.json", json.dumps(known, indent=1))
        return int(str(known[name]))

    def save_environment(self, environment: dict[str, str]) -> None:
        """Keep what `manage` needs to join the running system."""
        write_private(self.path / "environment.json", json.dumps(environment, indent=1))

    def environment(self) -> dict[str, str]:
        return {name: str(value) for name, value in self._read("environment.json").items()}

    def _make(self) -> None:
        if self.path.exists():
            return
        self.path.mkdir(mode=0o700, parents=True)
        if user := server_user(self.path):
            # Only the group of PostgreSQL's user may pass through, and it cannot list anything.
            os.chown(self.path, -1, user.gid)
            self.path.chmod(0o710)

    def _remember(self, file: str, name: str, value: object) -> object:
        known = self._read(file)
        if name not in known:
            known[name] = value
            write_private(self.path / file, json.dumps(known, indent=1))
        return known[name]

    def _read(self, file: str) -> dict[str, object]:
        try:
            return dict(json.loads((self.path / file).read_text()))
        except FileNotFoundError:
            return {}


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
