"""What is broken, each in one function. None of them cleans up: that is the system's work."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from tests.chaos.world import DELIVERY_CLUSTERS, World, wait_until

HOLD_CONNECTIONS_SECONDS = 4.0
# Past the lease of an attempt (its time limit of 10 s and 5 s), and before django-q2's own limit.
FREEZE_SECONDS = 17.0
STORM = ("flush_redis", "kill_relay", "kill_cluster", "postgres_immediate")


@dataclass(frozen=True)
class Fault:
    """`strike` breaks something and returns; `text` says what, for the report."""

    name: str
    text: str
    strike: Callable[[World, random.Random], None]


FAULTS: dict[str, Fault] = {}


def fault(text: str) -> Callable[[Callable[[World, random.Random], None]], Callable[..., None]]:
    def register(strike: Callable[[World, random.Random], None]) -> Callable[..., None]:
        FAULTS[strike.__name__] = Fault(strike.__name__, text, strike)
        return strike

    return register


@fault("SIGKILL of a worker")
def kill_worker(world: World, rng: random.Random) -> None:
    workers = world.workers(rng.choice(DELIVERY_CLUSTERS))
    if workers:
        _kill(rng.choice(workers))


@fault("SIGKILL of the idle workers of a queue, which wedges a django-q2 cluster")
def kill_idle_workers(world: World, rng: random.Random) -> None:
    for pid in world.workers(rng.choice(DELIVERY_CLUSTERS)):
        _kill(pid)


@fault("SIGKILL of a whole cluster")
def kill_cluster(world: World, rng: random.Random) -> None:
    world.kill_group(rng.choice(DELIVERY_CLUSTERS))


@fault("SIGKILL of the main process of a cluster")
def kill_cluster_main(world: World, rng: random.Random) -> None:
    _kill(world.pid_of(rng.choice(DELIVERY_CLUSTERS)))


@fault("SIGKILL of the relay")
def kill_relay(world: World, rng: random.Random) -> None:
    world.kill_group("relay")


@fault("SIGKILL of the web server, during POSTs")
def kill_web(world: World, rng: random.Random) -> None:
    world.kill_group("web")


@fault("Valkey killed; it comes back empty")
def kill_valkey(world: World, rng: random.Random) -> None:
    world.kill_group("valkey")


@fault("`FLUSHALL`")
def flush_redis(world: World, rng: random.Random) -> None:
    wait_until(lambda: bool(world.redis().flushall()), seconds=10)


@fault("PostgreSQL restarted, fast")
def postgres_fast(world: World, rng: random.Random) -> None:
    os.kill(world.pid_of("postgresql"), signal.SIGINT)


@fault("PostgreSQL restarted, immediate")
def postgres_immediate(world: World, rng: random.Random) -> None:
    os.kill(world.pid_of("postgresql"), signal.SIGQUIT)


@fault("all connections of the database used up for 4 s")
def use_up_connections(world: World, rng: random.Random) -> None:
    held = []
    with suppress(psycopg.Error):
        while True:
            held.append(psycopg.connect(world.environment["DATABASE_URL"], connect_timeout=5))
    time.sleep(HOLD_CONNECTIONS_SECONDS)
    for connection in held:
        connection.close()


@fault("a handler that hangs past its time limit")
def publish_hang(world: World, rng: random.Random) -> None:
    world.manage("chaos", "chaos_hang")


@fault("a handler that takes memory until its process is killed")
def publish_memory(world: World, rng: random.Random) -> None:
    world.manage("chaos", "chaos_memory")


@fault("a handler that dies with its process on every attempt")
def publish_poison(world: World, rng: random.Random) -> None:
    world.manage("chaos", "chaos_poison")


@fault("SIGSTOP of a worker past its lease, then SIGCONT")
def freeze_worker(world: World, rng: random.Random) -> None:
    row_id = int(world.manage("chaos", "chaos_slow"))
    leased = "SELECT count(*) FROM outbox WHERE id = %s AND state = 'processing'"
    if not wait_until(lambda: world.sql(leased, row_id)[0][0] == 1, seconds=30):
        return
    worker = world.ask("SELECT worker FROM outbox WHERE id = %s", row_id)
    pid = int(worker.rpartition(":")[2])
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(FREEZE_SECONDS, _wake, [pid]).start()


@fault("Redis emptied, relay and a cluster killed and PostgreSQL restarted at once")
def storm(world: World, rng: random.Random) -> None:
    for name in STORM:
        FAULTS[name].strike(world, rng)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _wake(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
