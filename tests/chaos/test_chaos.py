"""A short run of the real thing; `make chaos` has the long ones."""

from __future__ import annotations

from tests.chaos.run import run
from tests.chaos.schedule import QUICK

SEED = 1


def test_system_that_is_broken_while_it_works_keeps_its_promises():
    result = run(SEED, applications=30, quick=True)

    assert result.broken == []
    assert set(result.recoveries) == set(QUICK)
    assert result.counts["applications"] >= 30
