"""How long a failed row waits before its next attempt."""

from __future__ import annotations

import random
from dataclasses import dataclass

MAX_BACKOFF_SECONDS = 3600.0
# Past this the doubling has long reached MAX_BACKOFF_SECONDS; it keeps the power small.
MAX_DOUBLINGS = 20
# Retries after an outage must not come back all at once: each wait varies by up to this share.
JITTER = 0.5


@dataclass(frozen=True)
class RetryPolicy:
    """Attempts in all (the first one included) and the wait that doubles from one to the next."""

    max_attempts: int
    backoff_seconds: float

    def backoff(self, attempt: int, *, rng: random.Random | None = None) -> float:
        """Return the seconds to wait after failed attempt number `attempt` (first = 1).

        `backoff_seconds` doubled `attempt - 1` times, at most an hour, times a random factor
        between 0.5 and 1.5. `rng` makes it repeatable in tests.
        """
        doublings = min(attempt - 1, MAX_DOUBLINGS)
        seconds = min(self.backoff_seconds * 2.0**doublings, MAX_BACKOFF_SECONDS)
        factor = (rng or random).uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not a secret
        return seconds * factor
