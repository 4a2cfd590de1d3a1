"""How much is measured: the real run, and a small one that only shows that the program works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    repetitions: int
    publish_rows: int  # in bulk, BATCH rows in a transaction
    publish_one_rows: int  # one row in a transaction
    drain_rows: int
    idle_rows: int
    idle_cpu_seconds: int
    growth_rows: int
    relay_rows: int
    rebuild_rows: int


BATCH = 1_000
FULL = Sizes(
    repetitions=3,
    publish_rows=10_000,
    publish_one_rows=2_000,
    drain_rows=5_000,
    idle_rows=200,
    idle_cpu_seconds=30,
    growth_rows=1_000_000,
    relay_rows=30_000,
    rebuild_rows=100_000,
)
QUICK = Sizes(
    repetitions=1,
    publish_rows=2_000,
    publish_one_rows=200,
    drain_rows=500,
    idle_rows=30,
    idle_cpu_seconds=5,
    growth_rows=200_000,
    relay_rows=5_000,
    rebuild_rows=5_000,
)
