"""How long Sluice needs to go on when Redis loses everything in the middle of a long backlog."""

from __future__ import annotations

from collections.abc import Callable
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

# As many starts as show that the workers are up and the window has its usual size.
STARTS_BEFORE = 1_000
POLL_SECONDS = 0.005


def rebuild_seconds(bench: Bench) -> dict[str, float]:
    """Return seconds from a FLUSHALL on, with that many rows waiting and workers at work.

    `window_s`: until ids are in Redis again; `next_row_s`: until a row starts that was queued after
    it; `lost_ids_s`: until every row whose id was lost has been queued again or was in work.
    """
    engine = Sluice(bench.environment)
    publish_backlog(bench, engine, bench.sizes.rebuild_rows)
    with bench.running(engine) as processes:
        processes.wait_for(lambda: starts.count() >= STARTS_BEFORE, what="the queue is drained")
        client().flushall()
        lost_at = timezone.now()
        seconds = {
            "window_s": _seconds_until(_window_is_filled, lost_at, processes),
            "next_row_s": _next_row_seconds(lost_at, processes),
            "lost_ids_s": _seconds_until(lambda: _none_is_lost(lost_at), lost_at, processes),
        }
    engine.clear()
    return seconds


def _next_row_seconds(lost_at: datetime, processes: Running) -> float:
    later = Attempt.objects.filter(outbox__queued_at__gt=lost_at)
    processes.wait_for(later.exists, what="a row starts", poll=POLL_SECONDS)
    first: datetime = later.aggregate(first=Min("started_at"))["first"]
    return (first - lost_at).total_seconds()


def _seconds_until(condition: Callable[[], bool], lost_at: datetime, processes: Running) -> float:
    processes.wait_for(condition, what="Sluice recovers", poll=POLL_SECONDS)
    return (timezone.now() - lost_at).total_seconds()


def _window_is_filled() -> bool:
    return bool(window.ids(QUEUE))


def _none_is_lost(lost_at: datetime) -> bool:
    return not Outbox.objects.filter(state=State.QUEUED, queued_at__lt=lost_at).exists()
