"""What every measurement needs: where it may write, the terminal, and the wish to stop."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contract import Engine
from benchmarks.processes import Running, running
from benchmarks.sizes import Sizes
from runtime.console import Console
from runtime.stopping import StopRequest


@dataclass(frozen=True)
class Bench:
    """`environment` is that of every process; `directory` takes their logs."""

    directory: Path
    environment: Mapping[str, str]
    console: Console
    stop: StopRequest
    sizes: Sizes

    def running(self, engine: Engine) -> AbstractContextManager[Running]:
        """Run the engine's processes in the body."""
        return running(engine.services(), directory=self.directory, stop=self.stop)
