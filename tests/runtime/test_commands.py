"""Commands from outside, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from runtime.state import PROJECT_DIR
from tests.runtime.conftest import WaitUntil

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files of the commands; they must leave it empty."""
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder).resolve()


@pytest.fixture
def start(temporary: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            (sys.executable, "-m", "runtime", *arguments),
            cwd=PROJECT_DIR,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(temporary)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        with process:  # closes the pipes; whatever still waits for input ends
            pass
    for left in processes_in(temporary):  # only after a failure
        left.kill()


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the servers and programs of the system in this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if str(folder) in line or process.cwd().startswith(str(folder)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_test_gives_pytest_servers_and_returns_its_exit_code(start: Start, temporary: Path) -> None:
    (temporary / "test_it.py").write_text(
        "import os, psycopg, redis\n"
        "def test_servers():\n"
        "    with psycopg.connect(os.environ['DATABASE_URL']) as connection:\n"
        "        assert connection.execute('SHOW fsync').fetchone() == ('on',)\n"
        "    with redis.Redis.from_url(os.environ['REDIS_URL']) as client:\n"
        "        assert client.ping()\n"
        "def test_failing():\n"
        "    assert os.environ['STATE_DIR'] == ''\n"
    )

    process = start(
        "test",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:django",
        "-c",
        "/dev/null",
        str(temporary / "test_it.py"),
    )
    output, _ = process.communicate()

    assert process.returncode == 1
    assert "1 failed, 1 passed" in output
    assert [path.name for path in temporary.glob("sluice-*")] == []
    assert processes_in(temporary) == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_test_that_is_stopped_leaves_nothing(
    start: Start, temporary: Path, wait_until: WaitUntil, signum: signal.Signals
) -> None:
    (temporary / "test_it.py").write_text(
        "import pathlib, time\n"
        "def test_long():\n"
        "    pathlib.Path(__file__).with_name('begun').touch()\n"
        "    time.sleep(300)\n"
    )
    process = start(
        "test",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:django",
        "-c",
        "/dev/null",
        str(temporary / "test_it.py"),
    )
    wait_until((temporary / "begun").exists)

    process.send_signal(signum)
    output, _ = process.communicate()

    assert process.returncode == 130
    assert "KeyboardInterrupt" in output  # pytest ended in its own way
    assert [path.name for path in temporary.glob("sluice-*")] == []
    assert processes_in(temporary) == []


def test_what_a_killed_test_has_left_is_removed_by_the_next(
    start: Start, temporary: Path, wait_until: WaitUntil
) -> None:
    (temporary / "test_it.py").write_text(
        "import pathlib\n"
        "def test_waits_for_its_end(): pathlib.Path(__file__).with_name('begun').touch(); input()\n"
    )
    arguments = ("test", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:django", "-c", "/dev/null")
    process = start(*arguments, str(temporary / "test_it.py"))
    wait_until((temporary / "begun").exists)
    process.kill()
    process.wait()
    (left,) = temporary.glob("sluice-*")
    assert processes_in(left) != []
    os.utime(left, (0, 0))

    start(*arguments, "--version").communicate()

    assert not left.exists()
    assert processes_in(left) == []


def test_unknown_command_shows_the_commands(start: Start) -> None:
    process = start("frobnicate")
    output, _ = process.communicate()

    assert process.returncode == 2
    assert "python -m runtime run" in output


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_wrong_port_is_said_clearly(temporary: Path, port: str) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "runtime", "run"),
        cwd=PROJECT_DIR,
        env={"PATH": os.environ["PATH"], "STATE_DIR": str(temporary / "state"), "PORT": port},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == f"PORT must be a number from 1 to 65535, not {port!r}.\n"
    assert not (temporary / "state").exists()
