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

from outbox.models import Worker
from runtime.state import PROJECT_DIR

# The settings of clusters that deliver rows to the handlers of `cluster_app`.
CLUSTER_SETTINGS = "tests.integration.cluster_settings"

Cluster = subprocess.Popen[bytes]


@contextmanager
def running_clusters(
    *names: str,
    state_dir: Path,
    settings: str = "config.settings",
    redis_url: str | None = None,
) -> Iterator[dict[str, Cluster]]:
    """Start the clusters; end whatever is left of them in every case."""
    environment = cluster_environment(state_dir, settings=settings, redis_url=redis_url)
    with ExitStack() as stack:
        yield {name: stack.enter_context(_cluster(name, environment)) for name in names}


@contextmanager
def _cluster(name: str, environment: dict[str, str]) -> Iterator[Cluster]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "cluster", name],
        cwd=PROJECT_DIR,
        env={**environment, "Q_CLUSTER_NAME": name},
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


def cluster_environment(
    state_dir: Path, *, settings: str = "config.settings", redis_url: str | None = None
) -> dict[str, str]:
    """The environment of programs that share the test's database and, without another one, Redis."""
    database = str(connection.settings_dict["NAME"])
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}")
    return {
        **os.environ,
        "DATABASE_URL": url.geturl(),
        "REDIS_URL": redis_url or os.environ["REDIS_URL"],
        "STATE_DIR": str(state_dir),
        "DJANGO_SETTINGS_MODULE": settings,
    }


def members(cluster: Cluster) -> set[int]:
    """The living processes that the cluster consists of, its main process included."""
    found = set()
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == cluster.pid and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
        except (ProcessLookupError, psutil.Error):
            pass  # ended meanwhile
    return found


def seen_workers(cluster: Cluster) -> set[int]:
    """Those of its processes that have given a sign of life as workers."""
    return {pid_of(name) for name in Worker.objects.values_list("name", flat=True)} & members(
        cluster
    )


def pid_of(worker: str) -> int:
    """The process id in the name that a worker leaves on rows and attempts."""
    return int(worker.rpartition(":")[2])
