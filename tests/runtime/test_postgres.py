from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from runtime import postgres_leftover
from runtime.exceptions import RuntimeProblem, ServerFailed
from runtime.postgres import EmbeddedPostgres
from runtime.processes import ProcessId
from runtime.state import PROJECT_DIR
from runtime.supervisor import Supervisor
from runtime.system_user import SystemUser, runs_as
from tests.runtime.conftest import WaitUntil

NOBODY = SystemUser("nobody", 65534, 65534)


def start(postgres: EmbeddedPostgres, supervisor: Supervisor, wait_until: WaitUntil) -> ProcessId:
    postgres.prepare()
    supervisor.start(postgres.service())
    wait_until(postgres.is_ready)
    postgres.create_database()
    pid = supervisor.pid("postgresql")
    assert pid
    return ProcessId.of(pid)


def query(postgres: EmbeddedPostgres, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(postgres.url) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def test_data_is_found_again_after_a_stop(
    postgres: EmbeddedPostgres, supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    start(postgres, supervisor, wait_until)
    query(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    supervisor.stop()

    start(postgres, supervisor, wait_until)

    assert query(postgres, "SELECT answer FROM kept") == [(42,)]


def test_settings_are_those_that_the_data_needs(
    postgres: EmbeddedPostgres, supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    start(postgres, supervisor, wait_until)

    names = ("fsync", "listen_addresses", "max_connections", "server_encoding")
    assert [query(postgres, f"SHOW {name}") for name in names] == [
        [("on",)],
        [("127.0.0.1",)],
        [("200",)],
        [("UTF8",)],
    ]
    assert query(postgres, "SELECT upper('ä')") == [("Ä",)]


def test_a_password_is_needed(
    postgres: EmbeddedPostgres, supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    start(postgres, supervisor, wait_until)

    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(postgres.url.replace(postgres.url.split(":")[2].split("@")[0], ""))


def test_a_wrong_password_is_said_clearly(
    postgres: EmbeddedPostgres, supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    start(postgres, supervisor, wait_until)
    postgres._password = "another"

    with pytest.raises(ServerFailed, match="is not that of the data"):
        postgres.is_ready()


def test_a_killed_server_is_started_again_on_the_same_port(
    postgres: EmbeddedPostgres, supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    first = start(postgres, supervisor, wait_until)
    query(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(first.pid, signal.SIGKILL)

    def is_back() -> bool:
        supervisor.tick()
        return not first.lives() and postgres.is_ready()

    wait_until(is_back)
    assert query(postgres, "SELECT answer FROM kept") == [(42,)]


def test_prepare_stops_a_server_that_nobody_looks_after(
    postgres: EmbeddedPostgres, supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    first = start(postgres, supervisor, wait_until)
    query(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")

    postgres.prepare()
    assert not first.lives()
    supervisor.tick()
    supervisor.stop()

    start(postgres, supervisor, wait_until)
    assert query(postgres, "SELECT answer FROM kept") == [(42,)]


def test_prepare_forgets_a_pid_that_is_someone_elses_now(
    postgres: EmbeddedPostgres, supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    start(postgres, supervisor, wait_until)
    pid_file = postgres.data_dir / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    supervisor.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))

    start(postgres, supervisor, wait_until)

    assert pid_file.read_text().split()[0] != str(os.getpid())


def test_prepare_begins_again_after_an_interrupted_initdb(
    postgres: EmbeddedPostgres, supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    half = postgres.data_dir.with_name("data.new")
    half.mkdir()
    (half / "PG_VERSION").write_text("18")

    start(postgres, supervisor, wait_until)

    assert query(postgres, "SELECT 1") == [(1,)]


def test_prepare_refuses_data_of_another_user(postgres: EmbeddedPostgres) -> None:
    postgres.prepare()
    postgres._user = SystemUser("somebody", 54321, 54321)

    with pytest.raises(RuntimeProblem, match="belongs to another user"):
        postgres.prepare()


def test_a_server_that_cannot_start_ends_and_says_why_in_its_log(
    postgres: EmbeddedPostgres, supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    postgres.prepare()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", postgres._port))
        taken.listen()
        supervisor.start(postgres.service())
        wait_until(lambda: not supervisor.is_alive("postgresql"))

    assert "Address already in use" in supervisor.log("postgresql").read_text()


def test_leftover_without_data_is_no_error(tmp_path: Path) -> None:
    postgres_leftover.stop(tmp_path / "nothing")


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sluice-test-"))
    os.chown(folder, NOBODY.uid, NOBODY.gid)
    yield folder
    shutil.rmtree(folder)


AS_ORDINARY_USER = """
import sys
from pathlib import Path
from runtime import ports
from runtime.postgres import EmbeddedPostgres
from runtime.stopping import StopRequest
from runtime.supervisor import Supervisor

folder = Path(sys.argv[1])
supervisor = Supervisor(folder, say=print)
postgres = EmbeddedPostgres(folder / "postgres", password="secret", port=ports.free_port())
postgres.prepare()
supervisor.start(postgres.service())
assert StopRequest().wait_for(postgres.is_ready, seconds=20)
postgres.create_database()
supervisor.stop()
print(postgres.data_dir)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="all other tests run as an ordinary user already")
def test_an_ordinary_user_runs_it_as_itself(folder_of_nobody: Path) -> None:
    if not runs_as(NOBODY, (sys.executable, "-c", "import psycopg")):
        pytest.skip("the Python of this environment cannot be reached by an ordinary user")
    done = subprocess.run(
        (sys.executable, "-c", AS_ORDINARY_USER, str(folder_of_nobody)),
        cwd=PROJECT_DIR,
        env={"PATH": os.defpath},
        user=NOBODY.uid,
        group=NOBODY.gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder_of_nobody / "postgres" / "data")
