"""Systems that leave nothing behind: for tests, checks and the demo."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime import ports, postgres_leftover
from runtime.console import Console
from runtime.exceptions import AlreadyRunning
from runtime.postgres_files import find_data_dir, remove_data_dir
from runtime.state import StateDir
from runtime.stopping import StopRequest
from runtime.system import System, clean_up_after_killed

PREFIX = "sluice-throwaway-"
# A start makes its directory a moment before it locks it.
ABANDONED_SECONDS = 60


@contextmanager
def throwaway_system(console: Console, stop: StopRequest) -> Iterator[System]:
    """Give a system in a temporary directory, not started; stop and remove it in every case."""
    _remove_abandoned(console)
    state = StateDir(Path(tempfile.gettempdir()).resolve() / f"{PREFIX}{secrets.token_hex(8)}")
    state.open()
    try:
        system = System(state, port=ports.free_port(), console=console, stop=stop)
        try:
            yield system
        finally:
            system.stop()
    finally:
        _remove(state.path)


def _remove(directory: Path) -> None:
    if (directory / "postgres").exists():
        remove_data_dir(directory / "postgres")
    shutil.rmtree(directory, ignore_errors=True)


def _remove_abandoned(console: Console) -> None:
    """Stop and remove what a killed `make test` or `make demo` of ours has left."""
    for directory in Path(tempfile.gettempdir()).resolve().glob(f"{PREFIX}*"):
        if not _is_abandoned(directory):
            continue
        state = StateDir(directory)
        try:
            state.open()
        except AlreadyRunning:
            continue
        clean_up_after_killed(state, console)
        postgres_leftover.stop(find_data_dir(directory / "postgres"))
        _remove(directory)
        state.close()


def _is_abandoned(directory: Path) -> bool:
    # Anybody can make a folder of this name in a shared /tmp; only ours is to be believed.
    try:
        status = directory.lstat()
        return (
            status.st_uid == os.geteuid()
            and not directory.is_symlink()
            and time.time() - status.st_mtime > ABANDONED_SECONDS
        )
    except FileNotFoundError:
        return False
