from __future__ import annotations

import pytest

from runtime.state import PROJECT_DIR
from tests.chaos import report
from tests.chaos.faults import FAULTS
from tests.chaos.guarantees import GUARANTEES
from tests.chaos.run import Result
from tests.chaos.schedule import FIRST, QUICK, schedule


def test_schedule_is_the_same_for_the_same_seed():
    assert schedule(7) == schedule(7)
    assert schedule(7) != schedule(8)


def test_schedule_strikes_every_fault_once_and_the_slow_ones_first():
    names = [strike.fault.name for strike in schedule(7)]

    assert sorted(names) == sorted(FAULTS)
    assert set(names[: len(FIRST)]) == set(FIRST)


def test_quick_schedule_strikes_the_short_ones():
    assert sorted(strike.fault.name for strike in schedule(7, quick=True)) == sorted(QUICK)


@pytest.mark.parametrize("guarantee", GUARANTEES, ids=lambda guarantee: guarantee.text)
def test_tests_that_prove_a_guarantee_exist(guarantee):
    for test in guarantee.tests:
        file, _, name = test.partition("::")
        assert f"def {name}(" in (PROJECT_DIR / "tests" / file).read_text(), test


def test_report_shows_every_fault_and_the_counts_of_each_seed():
    first = Result(1, dict.fromkeys(FAULTS, 2.0), {"applications": 300}, [])
    second = Result(2, {"kill_worker": None, "flush_redis": 4.0}, {"applications": 310}, ["BROKEN"])

    page = report.write([first, second])

    assert "| SIGKILL of a worker | 2 | 1 | 2.0 | 2.0 |" in page
    assert "| `FLUSHALL` | 2 | 2 | 3.0 | 4.0 |" in page
    assert "| 1 | 300 | none |" in page
    assert "| 2 | 310 | 1 |" in page
