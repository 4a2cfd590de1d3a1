"""`make run` from outside: it starts, starts twice, stops without a trace, survives kill -9."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from runtime import ports
from runtime.postgres_files import remove_data_dir
from runtime.state import PROJECT_DIR
from tests.e2e.running_system import RunningSystem, complete_an_application, wait_for

SERVICES = {
    *("postgresql", "valkey", "web", "sandbox"),
    *("relay", "verify_document", "create_payment", "apply_payment_event", "send_email"),
}
Start = Callable[..., RunningSystem]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sluice-test-")).resolve()
    folder.chmod(0o755)
    yield folder
    for postgres in folder.glob("*/postgres"):
        remove_data_dir(postgres)
    shutil.rmtree(folder)


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    started: list[RunningSystem] = []

    def start(name: str = "state", *, port: int | None = None) -> RunningSystem:
        output = folder / f"{name}-{len(started)}.txt"
        system = RunningSystem(folder / name, port or ports.free_port(), output)
        started.append(system)
        return system

    yield start
    for system in started:
        if not system.is_ended():
            system.stop()
        for process in system.processes():
            process.kill()


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[RunningSystem]:
    """A running system for the tests that need no start of their own."""
    system = RunningSystem(folder / "shared", ports.free_port(), folder / "shared.txt")
    try:
        system.wait_until_ready()
        yield system
    finally:
        assert system.stop() == 0
        assert system.processes() == []


def status_of(address: str, application_id: str) -> str:
    """Return the application's status as its student sees it."""
    with httpx.Client(base_url=address, trust_env=False) as client:
        sign_in = {"email": "student@example.com", "password": "sluice-demo"}
        token = client.post("/auth/token", json=sign_in).json()["access"]
        answer = client.get(
            f"/applications/{application_id}/status",
            headers={"Authorization": f"Bearer {token}"},
        )
        return str(answer.json()["status"])


def test_run_starts_works_stops_and_finds_its_data_again(start: Start) -> None:
    system = start()
    system.wait_until_ready()
    assert {entry["name"] for entry in system.recorded()} == SERVICES
    application_id = complete_an_application(system.address)

    assert system.stop() == 0

    assert system.processes() == []
    again = start(port=system.port)
    again.wait_until_ready()
    assert status_of(again.address, application_id) == "completed"
    assert again.stop(signal.SIGINT) == 0
    assert again.processes() == []


def test_run_recovers_from_a_killed_supervisor(start: Start) -> None:
    system = start("killed")
    system.wait_until_ready()
    application_id = complete_an_application(system.address)
    system.kill()
    left = system.processes()
    assert len(left) > len(SERVICES)  # everything goes on, grandchildren too

    again = start("killed", port=system.port)
    again.wait_until_ready()

    assert [process for process in left if process.is_running()] == []
    assert "Stopping what a killed Sluice left running" in again.output()
    assert status_of(again.address, application_id) == "completed"
    assert again.stop() == 0
    assert again.processes() == []


def test_run_twice_side_by_side_but_not_on_one_state_directory(start: Start) -> None:
    first, second = start("first"), start("second")
    first.wait_until_ready()
    second.wait_until_ready()

    third = start("first", port=ports.free_port())
    assert third.process.wait(30) == 1
    assert f"Sluice already runs on {first.state_dir}" in third.output()
    fourth = start("fourth", port=first.port)
    assert fourth.process.wait(30) == 1
    assert f"Port {first.port} is in use" in fourth.output()

    complete_an_application(second.address)  # nothing of this disturbed the others
    assert first.stop() == 0
    complete_an_application(second.address)
    assert second.stop() == 0
    assert first.processes() == second.processes() == []


def test_run_keeps_every_service_running(shared: RunningSystem) -> None:
    former = {name: shared.pid_of(name) for name in SERVICES}
    for pid in former.values():
        os.kill(pid, signal.SIGKILL)

    def all_are_back() -> bool:
        recorded = {entry["name"]: entry["pid"] for entry in shared.recorded()}
        return recorded.keys() == SERVICES and all(
            recorded[name] != former[name] for name in SERVICES
        )

    assert wait_for(all_are_back), shared.output()
    assert wait_for(lambda: _is_ready(shared)), shared.output()
    complete_an_application(shared.address)


def test_manage_joins_the_running_system(shared: RunningSystem) -> None:
    done = _manage(
        shared.state_dir, "from accounts.models import User; print(User.objects.count())"
    )

    assert done.stdout.splitlines()[-1] == "2", done.stderr


def test_manage_says_that_nothing_runs(tmp_path: Path) -> None:
    done = _manage(tmp_path, "print()")

    assert done.returncode == 1
    assert f"Nothing runs on {tmp_path}" in done.stderr


def _is_ready(system: RunningSystem) -> bool:
    try:
        return httpx.get(f"{system.address}/readyz", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _manage(state_dir: Path, code: str) -> subprocess.CompletedProcess[str]:
    arguments = ("manage", "shell", "--no-imports", "-v", "0", "-c", code)
    return subprocess.run(
        (sys.executable, "-m", "runtime", *arguments),
        cwd=PROJECT_DIR,
        env={"PATH": os.environ["PATH"], "STATE_DIR": str(state_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
