"""How fast one, two and three relays move a backlog to Redis."""

from __future__ import annotations

import sys
from datetime import datetime

from django.db import transaction
from django.db.models import Max, Min

from benchmarks import starts
from benchmarks.bench import Bench
from benchmarks.processes import running
from benchmarks.sizes import BATCH
from benchmarks.sluice import QUEUE, Sluice
from outbox import window
from outbox.models import Outbox, State
from outbox.redis_client import client
from runtime.exceptions import RuntimeProblem
from runtime.service import Service
from runtime.state import PROJECT_DIR

RELAYS = (1, 2, 3)


def relay_rates(bench: Bench) -> dict[str, float]:
    """Return rows/s by number of relays."""
    return {str(relays): _rate(bench, relays) for relays in RELAYS}


def _rate(bench: Bench, relays: int) -> float:
    """Return rows/s from the first step to the last, each relay a process of its own.

    The backlog is committed at once while all of them wait for it. Raises `RuntimeProblem` unless
    every row is then queued and its id is in Redis once.
    """
    engine = Sluice(bench.environment)
    starts.clear()
    engine.clear()
    with running(_movers(bench, relays), directory=bench.directory, stop=bench.stop) as processes:
        processes.wait_for(lambda: starts.count() == relays, what="every relay is ready")
        _publish_at_once(bench)
        processes.wait_for(
            lambda: not Outbox.objects.exclude(state=State.QUEUED).exists(),
            what="every row is queued",
        )
    _check_window(bench.sizes.relay_rows)
    first, last = _first_and_last_step()
    engine.clear()
    return bench.sizes.relay_rows / (last - first).total_seconds()


def _movers(bench: Bench, relays: int) -> list[Service]:
    argv = (sys.executable, "-m", "benchmarks.mover")
    return [
        Service(name=f"mover-{number}", argv=argv, env=bench.environment, cwd=PROJECT_DIR)
        for number in range(relays)
    ]


def _publish_at_once(bench: Bench) -> None:
    engine = Sluice(bench.environment)
    keys = range(bench.sizes.relay_rows)
    with bench.stop.interruptible(), transaction.atomic():
        for first in range(0, len(keys), BATCH):
            engine.publish_many(keys[first : first + BATCH])


def _check_window(rows: int) -> None:
    pushed = sum(client().llen(key) for key in window.list_keys(QUEUE))
    distinct = len(window.ids(QUEUE))
    if not pushed == distinct == rows:
        raise RuntimeProblem(f"Of {rows} rows {distinct} ids are in Redis, {pushed} in all.")


def _first_and_last_step() -> tuple[datetime, datetime]:
    times = Outbox.objects.aggregate(first=Min("queued_at"), last=Max("queued_at"))
    return times["first"], times["last"]
