"""Which faults strike in what order: the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.chaos.faults import FAULTS, Fault

# Their rows need up to a minute to become dead letters, so they come first.
FIRST = ("publish_hang", "publish_memory", "publish_poison")
# A short run: what can be over within a few seconds.
QUICK = ("kill_worker", "flush_redis", "kill_web", "kill_relay", "postgres_fast")
PAUSE_SECONDS = (0.5, 3.0)


@dataclass(frozen=True)
class Strike:
    """A fault, and the pause before it."""

    pause_seconds: float
    fault: Fault


def schedule(seed: int, *, quick: bool = False) -> list[Strike]:
    """Return every fault once, in an order of the seed's; only a few short ones if `quick`."""
    rng = random.Random(seed)
    first = [] if quick else list(FIRST)
    others = list(QUICK) if quick else [name for name in FAULTS if name not in FIRST]
    rng.shuffle(first)
    rng.shuffle(others)
    return [Strike(rng.uniform(*PAUSE_SECONDS), FAULTS[name]) for name in [*first, *others]]
