"""The queues of this system, as `settings.OUTBOX_QUEUES` lists them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from django.conf import settings

from outbox.retry import RetryPolicy

RELAY_CLUSTER = "relay"
# The relay listens on this channel, so that it wakes when a transaction with due rows commits.
CHANNEL = "outbox"
# What a worker may need, past the attempt's own time limit, to record the outcome.
LEASE_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Queue:
    """One named queue: who retries how often, how long one attempt may take, and how many may
    begin per second (None: as many as the workers can)."""

    name: str
    retry: RetryPolicy
    timeout_seconds: float
    rate_per_second: float | None = None

    @property
    def lease_seconds(self) -> float:
        """How long a claimed row belongs to its worker: the attempt plus time to record it."""
        return self.timeout_seconds + LEASE_GRACE_SECONDS


@cache
def queues() -> dict[str, Queue]:
    """Return all queues by name."""
    return {
        name: Queue(
            name=name,
            retry=RetryPolicy(
                max_attempts=int(options["max_attempts"]),
                backoff_seconds=options["backoff_seconds"],
            ),
            timeout_seconds=options["timeout_seconds"],
            rate_per_second=options.get("rate_per_second"),
        )
        for name, options in settings.OUTBOX_QUEUES.items()
    }


def get_queue(name: str) -> Queue:
    """Return the queue called `name`; `KeyError` for one that the settings don't have."""
    return queues()[name]
