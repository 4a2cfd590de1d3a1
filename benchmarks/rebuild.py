"""How long Sluice needs to go on when Redis loses everything in the middle of a long backlog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Min
from django.utils import timezone

from benchmarks import starts
from benchmarks.bench import Bench
from benchmarks.measurements import publish_backlog
from benchmarks.processes import Running
from benchmarks.sluice import QUEUE, Sluice
from outbox import window
from outbox.models import Attempt, Outbox, State
from outbox.redis_client import client
from runtime.exceptions import RuntimeProblem

# As many starts as show that the workers are up and the window has its usual size.
STARTS_BEFORE = 1_000
POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Loss:
    """When Redis was emptied, and the ids of the rows that it held."""

    at: datetime
    row_ids: set[int]


def rebuild_seconds(bench: Bench) -> dict[str, float]:
    """Return seconds from a FLUSHALL on, with that many rows waiting and workers at work.

    `window_s`: until ids are in Redis again; `next_row_s`: until a row starts whose id was put there
    after it; `lost_ids_s`: until every row whose id was lost has been taken back.
    """
    engine = Sluice(bench.environment)
    publish_backlog(bench, engine, bench.sizes.rebuild_rows)
    with bench.running(engine) as processes:
        processes.wait_for(lambda: starts.count() >= STARTS_BEFORE, what="the queue is drained")
        processes.wait_for(_window_is_filled, what="there is something to lose", poll=POLL_SECONDS)
        loss = _empty_redis()
        seconds = {
            "window_s": _seconds_until(_window_is_filled, loss, processes),
            "next_row_s": _next_row_seconds(loss, processes),
            "lost_ids_s": _seconds_until(lambda: _all_are_back(loss), loss, processes),
        }
    engine.clear()
    return seconds


def _empty_redis() -> Loss:
    """Note what is on the lists and empty Redis in one step, so that no id slips in between."""
    pipeline = client().pipeline(transaction=True)
    for key in window.list_keys(QUEUE):
        pipeline.lrange(key, 0, -1)
    pipeline.flushall()
    at = timezone.now()
    *lists, _ = pipeline.execute()
    row_ids = {int(row_id) for chunk in lists for row_id in chunk}
    if not row_ids:
        raise RuntimeProblem("The workers had just taken all ids: nothing was lost. Run it again.")
    return Loss(at, row_ids)


def _next_row_seconds(loss: Loss, processes: Running) -> float:
    # All rows have one priority, so they are queued in the order of their ids; but two relays that
    # overlap may swap what they have queued at the same time, hence the second condition.
    later = Attempt.objects.filter(outbox_id__gt=max(loss.row_ids), started_at__gt=loss.at)
    processes.wait_for(later.exists, what="a row starts", poll=POLL_SECONDS)
    first: datetime = later.aggregate(first=Min("started_at"))["first"]
    return (first - loss.at).total_seconds()


def _seconds_until(condition: Callable[[], bool], loss: Loss, processes: Running) -> float:
    processes.wait_for(condition, what="Sluice recovers", poll=POLL_SECONDS)
    return (timezone.now() - loss.at).total_seconds()


def _window_is_filled() -> bool:
    return bool(window.ids(QUEUE))


def _all_are_back(loss: Loss) -> bool:
    lost = Outbox.objects.filter(pk__in=loss.row_ids, state=State.QUEUED, queued_at__lt=loss.at)
    return not lost.exists()
