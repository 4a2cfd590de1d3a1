"""The queries that Sluice repeats all the time, and how PostgreSQL executes each of them.

`recurring_queries` calls the steps of the engine on rows in every state, and what they send to
PostgreSQL is explained at that moment; nothing is copied from the engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from benchmarks.sluice import QUEUE, Sluice
from outbox import delivery, relay, relay_run, retention, waiting, watchdog, workers
from outbox.models import Outbox, State
from outbox.queues import get_queue
from outbox.redis_client import client
from runtime.exceptions import RuntimeProblem

ROWS = 50
TABLES_THAT_GROW = {"outbox", "outbox_attempt"}
EXPLAINED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")
AN_HOUR = timedelta(hours=1)


@dataclass
class Query:
    """One statement; of several executions all plans together, and the longest time."""

    step: str
    sql: str
    ms: float = 0.0
    indexes: set[str] = field(default_factory=set)
    sequential_scans: set[str] = field(default_factory=set)

    @property
    def slows_down(self) -> bool:
        """Whether it reads a table from end to end that only grows."""
        return bool(self.sequential_scans & TABLES_THAT_GROW)


def recurring_queries(engine: Sluice) -> list[Query]:
    """Go through everything that is done again and again, with `ROWS` rows beside those there.

    A new step of the engine needs two lines here. Leaves rows behind.
    """
    recorder = Recorder()
    with recorder.step("publish"):
        engine.publish_many(range(ROWS))
    relay_at_work = relay.Relay()
    with recorder.step("relay: tick"):
        relay_at_work.tick()
    two_rows = _queued_rows(2)
    with recorder.step("delivery"):
        _deliver(two_rows)
    _lose_a_worker_and_all_ids()
    with recorder.step("relay: repair"):
        relay_at_work.repair()
        relay.move_aged(QUEUE, limit=1)
    with recorder.step("relay: observe"):
        relay_at_work.observe()
    with recorder.step("relay: next due"):
        relay.next_due_seconds(at_most=2)
    with recorder.step("relay: run"):
        relay_run.Run().step()
    with recorder.step("worker: sign of life"):
        workers.beat(QUEUE)
    with recorder.step("retention"):
        retention.prune()
    unfinished = list(Outbox.objects.order_by("-pk")[:ROWS])
    with recorder.step("why it waits"):
        waiting.why_waiting(unfinished)
    with recorder.step("watchdog"):
        watchdog.relay_is_stale()
        watchdog.stuck_queues()
    return list(recorder.queries.values())


def _queued_rows(count: int) -> list[int]:
    row_ids = list(Outbox.objects.filter(state=State.QUEUED).values_list("pk", flat=True)[:count])
    if len(row_ids) < count:
        raise RuntimeProblem("The relay has not queued enough rows.")
    return row_ids


def _deliver(row_ids: list[int]) -> None:
    """Deliver the rows, each but the first claimed by the statement that ends the one before."""
    first, *others = row_ids
    following = iter(others)
    lease = delivery.claim(get_queue(QUEUE), first)
    while lease is not None:
        _, lease = delivery.deliver(lease, lambda: next(following, None))


def _lose_a_worker_and_all_ids() -> None:
    """Make one lease run out, and all queued rows look as if their ids were lost."""
    delivery.claim(get_queue(QUEUE), _queued_rows(1)[0])
    working = Outbox.objects.filter(state=State.PROCESSING)
    working.update(lease_expires_at=Now() - AN_HOUR)
    client().flushall()
    Outbox.objects.filter(state=State.QUEUED).update(queued_at=Now() - AN_HOUR)


class Recorder:
    """Explains each statement right before it is executed, and takes its time."""

    def __init__(self) -> None:
        self.queries: dict[str, Query] = {}
        self._step = ""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._step = name
        with connection.execute_wrapper(self._explain_and_execute):
            yield

    def _explain_and_execute(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if not sql.lstrip().startswith(EXPLAINED):
            return execute(sql, params, many, context)
        query = self.queries.setdefault(sql, Query(self._step, " ".join(sql.split())))
        execute(f"EXPLAIN (FORMAT JSON) {sql}", params, many, context)
        ((plan,),) = context["cursor"].fetchone()
        _note_plan(query, plan["Plan"])
        started = time.perf_counter()
        result = execute(sql, params, many, context)
        query.ms = max(query.ms, (time.perf_counter() - started) * 1000)
        return result


def _note_plan(query: Query, node: dict[str, Any]) -> None:
    if "Index Name" in node:
        query.indexes.add(node["Index Name"])
    if node["Node Type"] == "Seq Scan":
        query.sequential_scans.add(node["Relation Name"])
    for child in node.get("Plans", ()):
        _note_plan(query, child)
