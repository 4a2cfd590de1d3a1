"""`make chaos`: run the seeds; write the report, or exit with 1 if a promise was broken."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from runtime.state import PROJECT_DIR
from tests.chaos import report
from tests.chaos.run import Result, run

REPORT = PROJECT_DIR / "docs" / "guarantees.md"
APPLICATIONS = 300


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--applications", type=int, default=APPLICATIONS, help="at least so many")
    parser.add_argument("--report", type=Path, default=REPORT)
    arguments = parser.parse_args()
    results = [_run(seed, arguments.applications) for seed in arguments.seeds]
    broken = [line for result in results for line in result.broken]
    if not broken:
        arguments.report.write_text(report.write(results))
        _say(f"report: {arguments.report}")
    for line in broken:
        _say(line)
    return 1 if broken else 0


def _run(seed: int, applications: int) -> Result:
    _say(f"seed {seed}")
    result = run(seed, applications=applications, say=lambda text: _say(f"  {text}"))
    _say(f"  {', '.join(f'{count} {name}' for name, count in result.counts.items())}")
    _say(f"  broken promises: {len(result.broken)}")
    return result


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
