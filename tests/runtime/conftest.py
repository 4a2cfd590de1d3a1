from __future__ import annotations

import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime import ports
from runtime.postgres import EmbeddedPostgres
from runtime.postgres_files import remove_data_dir
from runtime.service import Service
from runtime.state import StateDir
from runtime.stopping import StopRequest
from runtime.supervisor import Supervisor

WaitUntil = Callable[[Callable[[], bool]], None]


@pytest.fixture
def state() -> Iterator[StateDir]:
    """An open state directory where PostgreSQL's user can reach it (pytest's own may not be)."""
    parent = Path(tempfile.mkdtemp(prefix="sluice-test-"))
    parent.chmod(0o755)
    state = StateDir(parent / "state")
    state.open()
    yield state
    state.close()
    if (state.path / "postgres").exists():
        remove_data_dir(state.path / "postgres")
    shutil.rmtree(parent)


@pytest.fixture
def said() -> list[str]:
    """What the supervisor said."""
    return []


@pytest.fixture
def supervisor(state: StateDir, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(state.path, say=said.append)
    yield supervisor
    supervisor.stop()


@pytest.fixture
def postgres(state: StateDir) -> EmbeddedPostgres:
    return EmbeddedPostgres(
        state.path / "postgres", password=secrets.token_hex(8), port=ports.free_port()
    )


@pytest.fixture
def wait_until() -> WaitUntil:
    def wait(condition: Callable[[], bool]) -> None:
        assert StopRequest().wait_for(condition, seconds=20), "waited for 20 s in vain"

    return wait


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Service]:
    """Make a service of a Python program; it finds its folder in FOLDER."""

    def make(code: str, *, name: str = "script", seconds: float = 5.0) -> Service:
        return Service(
            name=name,
            argv=(sys.executable, "-c", code),
            env={"FOLDER": str(tmp_path)},
            cwd=tmp_path,
            stop_signals=((signal.SIGTERM, seconds),),
        )

    return make
