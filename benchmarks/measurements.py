"""What is measured of every engine in the same way: publishing, draining, latency when idle."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import connection

from benchmarks import starts
from benchmarks.bench import Bench
from benchmarks.contract import Engine
from benchmarks.processes import Running
from benchmarks.sizes import BATCH
from runtime.exceptions import RuntimeProblem

T = TypeVar("T")

WARM_UP_ROWS = 20
PAUSE_SECONDS = (0.02, 0.05)
IDLE_POLL_SECONDS = 0.001
RECORD_POLL_SECONDS = 0.2


def publish_rate(bench: Bench, engine: Engine) -> float:
    """Return rows/s, published in transactions of a thousand while no worker runs."""
    keys = range(bench.sizes.publish_rows)
    batches = [keys[first : first + BATCH] for first in range(0, len(keys), BATCH)]
    return len(keys) / _seconds_to_publish(bench, engine, engine.publish_many, batches)


def publish_one_rate(bench: Bench, engine: Engine) -> float:
    """Return rows/s, published one by one while no worker runs."""
    keys = range(bench.sizes.publish_one_rows)
    return len(keys) / _seconds_to_publish(bench, engine, engine.publish_one, keys)


def _seconds_to_publish(
    bench: Bench, engine: Engine, publish: Callable[[T], None], items: Sequence[T]
) -> float:
    engine.clear()
    engine.publish_one(0)  # connects
    write_checkpoint()
    with bench.stop.interruptible():
        started = time.perf_counter()
        for item in items:
            publish(item)
        seconds = time.perf_counter() - started
    engine.clear()
    return seconds


def write_checkpoint() -> None:
    """Let PostgreSQL write now what one engine has left, and not while the next is measured."""
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")


def drain_rate(bench: Bench, engine: Engine) -> float:
    """Return rows/s of a backlog: from the first handler's start to the last recorded success.

    All rows are published before the workers start. Raises `RuntimeProblem` unless every row ran
    and was recorded exactly once.
    """
    keys = range(bench.sizes.drain_rows)
    publish_backlog(bench, engine, len(keys))
    with bench.running(engine) as processes:
        processes.wait_for(lambda: starts.count() >= len(keys), what="every row starts")
        _wait_for_records(engine, len(keys), processes)
    check_exactly_once(engine, keys)
    first_start_ns = min(start.at_ns for start in starts.read())
    seconds = (engine.record().last_end_ns - first_start_ns) / 1e9
    engine.clear()
    return len(keys) / seconds


def publish_backlog(bench: Bench, engine: Engine, rows: int) -> None:
    """Publish the rows 0, 1, 2, … of a new measurement."""
    starts.clear()
    engine.clear()
    keys = range(rows)
    with bench.stop.interruptible():
        for first in range(0, rows, BATCH):
            engine.publish_many(keys[first : first + BATCH])
    write_checkpoint()


def idle_latencies(bench: Bench, engine: Engine) -> list[float]:
    """Return, for rows that meet idle workers, the ms from the end of publishing to the start."""
    starts.clear()
    engine.clear()
    write_checkpoint()
    published_ns = {}
    keys = range(WARM_UP_ROWS + bench.sizes.idle_rows)
    with bench.running(engine) as processes:
        for key in keys:
            time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - not a secret
            engine.publish_one(key)
            published_ns[key] = time.time_ns()
            _wait_for_starts(key + 1, processes)
        _wait_for_records(engine, len(keys), processes)
    check_exactly_once(engine, keys)
    engine.clear()
    return [
        (start.at_ns - published_ns[start.key]) / 1e6
        for start in starts.read()
        if start.key >= WARM_UP_ROWS
    ]


def _wait_for_starts(rows: int, processes: Running) -> None:
    processes.wait_for(
        lambda: starts.count() >= rows, what=f"row {rows} starts", poll=IDLE_POLL_SECONDS
    )


def _wait_for_records(engine: Engine, rows: int, processes: Running) -> None:
    processes.wait_for(
        lambda: engine.record().succeeded >= rows,
        what="every success is recorded",
        poll=RECORD_POLL_SECONDS,
    )


def check_exactly_once(engine: Engine, keys: range) -> None:
    """Raise `RuntimeProblem` unless each row was started once and recorded once as a success."""
    started = sorted(start.key for start in starts.read())
    succeeded = engine.record().succeeded
    if started != list(keys) or succeeded != len(keys):
        raise RuntimeProblem(
            f"{engine.label}: of {len(keys)} rows {len(set(started))} were started, "
            f"{len(started)} times in all, and {succeeded} were recorded as a success."
        )
