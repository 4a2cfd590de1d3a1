"""Real clusters, as `make run` starts them, on the database of the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from django.db import connection

from runtime.state import PROJECT_DIR


@contextmanager
def running_clusters(*names: str, state_dir: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start the clusters; end whatever is left of them in every case."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(_cluster(name, state_dir)) for name in names}


@contextmanager
def _cluster(name: str, state_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "cluster", name],
        cwd=PROJECT_DIR,
        env=_environment(name, state_dir),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # The group has the number of its leader, which stays taken until it is waited for.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def _environment(name: str, state_dir: Path) -> dict[str, str]:
    database = str(connection.settings_dict["NAME"])
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}")
    return {
        **os.environ,
        "DATABASE_URL": url.geturl(),
        "STATE_DIR": str(state_dir),
        "Q_CLUSTER_NAME": name,
    }


def members(cluster: subprocess.Popen[bytes]) -> set[int]:
    """The living processes that the cluster consists of, its main process included."""
    found = set()
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == cluster.pid and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
        except (ProcessLookupError, psutil.Error):
            pass  # ended meanwhile
    return found
