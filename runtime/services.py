"""The programs of a running system."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from outbox.queues import RELAY_CLUSTER, queues
from runtime.service import Service
from runtime.state import PROJECT_DIR


def services(env: Mapping[str, str], *, port: int, sandbox_port: int | None) -> list[Service]:
    """Return the web server, the clusters and, with a port for it, the sandbox payment service.

    `env` is the whole environment of each; it must name STATE_DIR. Django must be set up.
    """
    programs = {"web": _web(port)}
    if sandbox_port:
        programs["sandbox"] = _sandbox(sandbox_port, Path(env["STATE_DIR"]))
    clusters = [RELAY_CLUSTER, *queues()]
    for cluster in clusters:
        programs[cluster] = ("manage.py", "cluster", cluster)
    return [
        Service(
            name=name,
            argv=(sys.executable, *arguments),
            # django-q2 reads the cluster's name here; the command would have to start twice.
            env={**env, "Q_CLUSTER_NAME": name} if name in clusters else env,
            cwd=PROJECT_DIR,
        )
        for name, arguments in programs.items()
    ]


def _web(port: int) -> tuple[str, ...]:
    return (
        *("-m", "gunicorn", "config.wsgi:application"),
        *("--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--workers", "2", "--threads", "4"),
        *("--graceful-timeout", "10"),
        "--preload",  # Django is loaded once, before the workers are forked
        # It would be one socket in the home folder for all systems of this user.
        "--no-control-socket",
    )


def _sandbox(port: int, state_dir: Path) -> tuple[str, ...]:
    return (
        *("-m", "payments.sandbox", "--host", "127.0.0.1", "--port", str(port)),
        *("--database", str(state_dir / "sandbox.sqlite3")),
    )
