"""docs/guarantees.md: what is guaranteed, what proves it, and what the last chaos has shown."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterable, Sequence

import psutil

from tests.chaos.faults import FAULTS
from tests.chaos.guarantees import GUARANTEES
from tests.chaos.promises import PROMISES
from tests.chaos.run import Result

HEAD = """# Guarantees

`make chaos` writes this page. It starts a whole system (web, relay, clusters, PostgreSQL, Valkey,
payment sandbox, a mail server), lets people submit, pay and repeat what was not answered, and breaks
it by a schedule that follows from a seed: `make chaos SEEDS="1 2 3"`.

Effects happen once although delivery is at-least-once: a handler may run again after a crash, its
effects in the database are committed with the outcome, and its effects outside carry a key.

## What is guaranteed, and the test that proves it
"""
PROMISES_HEAD = """
## What must hold at the end of every run

Checked in SQL over the rows, and by counting in the payment provider's own database, in the mail
server and on the disk.
"""


def write(results: Sequence[Result]) -> str:
    """Return the page. Times are seconds."""
    guarantees = [
        [guarantee.text, "<br>".join(f"`{test}`" for test in guarantee.tests)]
        for guarantee in GUARANTEES
    ]
    return (
        HEAD
        + _table(["guarantee", "tests"], guarantees)
        + PROMISES_HEAD
        + "".join(f"\n- {text}" for text in PROMISES)
        + "\n\n## The last run\n\n"
        + _setup()
        + _faults(results)
        + _counts(results)
    )


def _setup() -> str:
    return (
        f"{psutil.cpu_count()} cores, {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, 2 workers per queue. Recovery is the time from the fault until "
        "an application that was submitted after it had its document checked, its payment created and "
        "its first mail sent; the client's repetitions are part of it.\n"
    )


def _faults(results: Sequence[Result]) -> str:
    rows = []
    for name, fault in FAULTS.items():
        times = [result.recoveries[name] for result in results if name in result.recoveries]
        seconds = [time for time in times if time is not None]
        median = f"{statistics.median(seconds):.1f}" if seconds else "–"
        longest = f"{max(seconds):.1f}" if seconds else "–"
        rows.append([fault.text, f"{len(times)}", f"{len(seconds)}", median, longest])
    return _table(["fault", "struck", "recovered", "median, s", "longest, s"], rows)


def _counts(results: Sequence[Result]) -> str:
    names = list(results[0].counts)
    rows = [
        [str(result.seed), *(str(result.counts.get(name, "–")) for name in names), _verdict(result)]
        for result in results
    ]
    return _table(["seed", *names, "broken promises"], rows)


def _verdict(result: Result) -> str:
    return str(len(result.broken)) if result.broken else "none"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *([list(row) for row in rows])]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)
