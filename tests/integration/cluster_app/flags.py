"""Files in a cluster's STATE_DIR by which a test tells the handlers there how to behave."""

from __future__ import annotations

import os
from pathlib import Path


class Flags:
    """The flags of the clusters that share a state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self.gate_closed = state_dir / "gate.closed"
        self.provider_away = state_dir / "provider.away"

    def wait_here(self) -> None:
        """Note that this process stands at the closed gate."""
        (self._state_dir / f"waiting.{os.getpid()}").touch()

    def waiting(self) -> set[int]:
        """The processes that have ever stood at the closed gate."""
        return {int(path.suffix.removeprefix(".")) for path in self._state_dir.glob("waiting.*")}
