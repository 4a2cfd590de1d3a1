"""The system under chaos, and ways to look into it and to get at its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from runtime.ports import free_port
from runtime.state import PROJECT_DIR
from tests.chaos.mailbox import Mailbox
from tests.e2e.running_system import RunningSystem

DELIVERY_CLUSTERS = ("verify_document", "create_payment", "apply_payment_event", "send_email")
RETRY_SECONDS = 0.1


class World:
    """A system on a state directory of its own, its mail server, and how to reach both."""

    def __init__(self, folder: Path) -> None:
        self.mailbox = Mailbox()
        self.mailbox.start()
        self.system = RunningSystem(
            folder / "state",
            free_port(),
            folder / "output.txt",
            env={
                "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
                "WORKERS_PER_QUEUE": "2",
                "EMAIL_HOST": "127.0.0.1",
                "EMAIL_PORT": str(self.mailbox.port),
            },
        )
        self.system.wait_until_ready()
        self.environment: dict[str, str] = json.loads(
            (folder / "state" / "environment.json").read_text()
        )

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query; raises `psycopg.Error` while PostgreSQL is away."""
        url = self.environment["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            return connection.execute(query, parameters or None).fetchall()

    def ask(self, query: str, *parameters: Any) -> Any:
        """Return the first column of the first row, waiting while PostgreSQL is away."""
        while True:
            try:
                return self.sql(query, *parameters)[0][0]
            except psycopg.Error:
                time.sleep(RETRY_SECONDS)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.environment["REDIS_URL"], socket_timeout=5)

    def manage(self, *arguments: str) -> str:
        """Run a Django command in the environment of the system; return what it prints."""
        done = subprocess.run(
            [sys.executable, str(PROJECT_DIR / "manage.py"), *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return done.stdout.strip()

    def pid_of(self, service: str) -> int:
        """Return the main process of a service that runs; waits while it is being restarted."""
        while True:
            try:
                pid = self.system.pid_of(service)
                if psutil.pid_exists(pid):
                    return pid
            except (ValueError, json.JSONDecodeError):
                pass
            time.sleep(RETRY_SECONDS)

    def workers(self, cluster: str) -> list[int]:
        """Return the processes of a cluster that give signs of life as its workers."""
        group = self.pid_of(cluster)
        names = self.sql("SELECT name FROM outbox_worker WHERE queue = %s", cluster)
        pids = [int(name.rpartition(":")[2]) for (name,) in names]
        return [pid for pid in pids if _group_of(pid) == group]

    def kill_group(self, service: str) -> None:
        """SIGKILL a service with everything that it has started."""
        os.killpg(self.pid_of(service), signal.SIGKILL)

    def close(self) -> None:
        """End what is left, in every case."""
        if not self.system.is_ended():
            self.system.stop()
        self.mailbox.stop()


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Return whether the condition has come true in time; errors of a broken system mean no."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if condition():
                return True
        except (psycopg.Error, redis.RedisError, OSError):
            pass
        time.sleep(RETRY_SECONDS)
    return False


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
