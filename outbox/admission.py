"""Admission: new work is refused while the backlog is worth more than a set time.

A queue can level a spike, not an overload that lasts. Work of one priority is refused when what
is at least as urgent would take longer than the limit at the measured drain: so urgent work is
admitted for longer, and everything again as soon as the backlog has fallen.
"""

from __future__ import annotations

import time
from functools import lru_cache

from django.conf import settings

from outbox.models import QueueControl

# A process looks at the measurements, which the relay makes every few seconds, only so often.
LOOK_SECONDS = 1.0
MAX_RETRY_AFTER_SECONDS = 3600


@lru_cache(maxsize=1)
def _measured(look: int) -> list[tuple[list[int], float]]:
    """Return (waiting by priority, drain per second) of each queue; `look` is only the cache's key."""
    measured = QueueControl.objects.filter(drain_per_second__gt=0)
    return [(queue.waiting, queue.drain_per_second or 0.0) for queue in measured]


def retry_after_seconds(priority: int) -> int | None:
    """Return None if work of this priority is admitted, else the seconds after which it may be.

    That is how long the fullest queue needs, at its measured drain, to come back to
    `OUTBOX_MAX_BACKLOG_SECONDS`; at least 1 and at most an hour.
    """
    excess = max(
        (
            sum(waiting[: priority + 1]) / drain - settings.OUTBOX_MAX_BACKLOG_SECONDS
            for waiting, drain in _measured(int(time.monotonic() / LOOK_SECONDS))
        ),
        default=0.0,
    )
    if excess <= 0:
        return None
    return max(1, min(round(excess), MAX_RETRY_AFTER_SECONDS))
