from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import ports
from runtime.exceptions import AlreadyRunning, RuntimeProblem
from runtime.state import PROJECT_DIR, StateDir


def test_open_makes_a_private_directory(state: StateDir) -> None:
    assert stat.S_IMODE(state.path.stat().st_mode) & 0o007 == 0


def test_open_leaves_the_mode_of_a_directory_that_is_there(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    state = StateDir(tmp_path)

    state.open()
    state.close()

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_open_refuses_a_second_supervisor(state: StateDir) -> None:
    second = StateDir(state.path)

    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
        second.open()
    assert second.is_in_use()


def test_open_refuses_a_second_process(state: StateDir) -> None:
    code = "import sys; from pathlib import Path; from runtime.state import StateDir; StateDir(Path(sys.argv[1])).open()"
    done = subprocess.run(
        (sys.executable, "-c", code, str(state.path)),
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "AlreadyRunning" in done.stderr


def test_open_works_again_after_close(state: StateDir) -> None:
    state.close()
    second = StateDir(state.path)

    second.open()

    assert second.is_in_use()
    second.close()
    assert not second.is_in_use()


def test_open_says_clearly_why_a_directory_cannot_be_used() -> None:
    with pytest.raises(RuntimeProblem, match="STATE_DIR cannot be used"):
        StateDir(Path("/dev/null/state")).open()


def test_secret_is_made_once_and_private(state: StateDir) -> None:
    assert state.secret("SECRET_KEY", "first") == "first"
    assert StateDir(state.path).secret("SECRET_KEY", "second") == "first"
    assert stat.S_IMODE((state.path / "secrets.json").stat().st_mode) == 0o600


def test_port_stays_the_same_while_it_is_free(state: StateDir) -> None:
    port = state.port("postgres")

    assert state.port("postgres") == port
    assert state.port("valkey") != port


def test_port_changes_if_it_is_taken(state: StateDir) -> None:
    port = state.port("postgres")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()

        other = state.port("postgres")

    assert other != port
    assert state.port("postgres") == other


def test_free_port_can_be_listened_on() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", ports.free_port()))
        server.listen()

        assert not ports.is_free(server.getsockname()[1])
