"""PostgreSQL and Redis for a system: the user's, where an address is set, or embedded ones."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

from runtime.console import Console
from runtime.exceptions import ServerFailed
from runtime.logs import tail
from runtime.postgres import EmbeddedPostgres
from runtime.state import StateDir
from runtime.stopping import StopRequest
from runtime.supervisor import Supervisor
from runtime.valkey import EmbeddedValkey

# A PostgreSQL that was killed reads its log first, which can take a while.
READY_SECONDS = 60.0


def start_postgres(
    state: StateDir, supervisor: Supervisor, console: Console, stop: StopRequest
) -> str:
    """Return DATABASE_URL; start an embedded PostgreSQL if the environment has none."""
    if url := os.environ.get("DATABASE_URL"):
        return url
    with console.step("Starting PostgreSQL"):
        postgres = EmbeddedPostgres(
            state.path / "postgres",
            password=state.secret("POSTGRES_PASSWORD", secrets.token_hex(24)),
            port=state.port("postgres"),
        )
        postgres.prepare()
        stop.check()
        service = postgres.service()
        supervisor.start(service)
        _wait(service.name, postgres.is_ready, supervisor, stop)
        postgres.create_database()
    return postgres.url


def start_valkey(
    state: StateDir, supervisor: Supervisor, console: Console, stop: StopRequest
) -> str:
    """Return REDIS_URL; start an embedded Valkey if the environment has none."""
    if url := os.environ.get("REDIS_URL"):
        return url
    with console.step("Starting Valkey"):
        valkey = EmbeddedValkey(
            state.path / "valkey",
            password=state.secret("VALKEY_PASSWORD", secrets.token_hex(24)),
            port=state.port("valkey"),
        )
        service = valkey.service()
        supervisor.start(service)
        _wait(service.name, valkey.is_ready, supervisor, stop)
    return valkey.url


def _wait(
    name: str, is_ready: Callable[[], bool], supervisor: Supervisor, stop: StopRequest
) -> None:
    stop.wait_for(lambda: is_ready() or not supervisor.is_alive(name), seconds=READY_SECONDS)
    if not (supervisor.is_alive(name) and is_ready()):
        raise ServerFailed(f"{name} did not come up:\n{tail(supervisor.log(name))}")
