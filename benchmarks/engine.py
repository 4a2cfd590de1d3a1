"""`make bench-engine`: measure Sluice's engine beside two others; see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.contract import WORKERS
from benchmarks.sizes import FULL, QUICK, Sizes
from runtime import django_steps
from runtime.console import Console
from runtime.exceptions import RuntimeProblem
from runtime.foreground import run_foreground
from runtime.state import PROJECT_DIR
from runtime.stopping import Stopped, StopRequest
from runtime.throwaway import throwaway_system

RESULTS = PROJECT_DIR / "benchmarks" / "results"
# All that is measured is emptied in between, so it must be the benchmark's own.
OTHERS_SERVERS = ("DATABASE_URL", "REDIS_URL", "SANDBOX_URL")


def main() -> int:
    """Run the benchmark; return the exit code: 1 if a row was lost, doubled, or a query scans."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine")
    parser.add_argument("--quick", action="store_true", help="small, to see that it works")
    quick = parser.parse_args().quick
    stop, console = StopRequest(), Console()
    stop.install()
    try:
        results = _measure(console, stop, QUICK if quick else FULL)
        name = "engine-quick" if quick else "engine"
        console.say("\n" + report.write(results, directory=RESULTS, name=name))
        _check_scans(results)
    except RuntimeProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except Stopped:
        return 130
    return 0


def _measure(console: Console, stop: StopRequest, sizes: Sizes) -> dict[str, Any]:
    for name in OTHERS_SERVERS:
        os.environ.pop(name, None)
    os.environ["WORKERS_PER_QUEUE"] = str(WORKERS)
    idle_cpu = _idle_cpu(stop, sizes.idle_cpu_seconds)
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    with throwaway_system(console, stop) as system:
        system.start_servers()
        django_steps.prepare(console, stop)
        logging.disable(logging.WARNING)  # a line for each row that this process publishes or loses
        from benchmarks.bench import Bench  # noqa: PLC0415 - only after Django's setup
        from benchmarks.course import measure  # noqa: PLC0415

        directory = system.state.path / "benchmark"
        bench = Bench(directory, system.environment, console, stop, sizes)
        return measure(bench, idle_cpu)


def _idle_cpu(stop: StopRequest, seconds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "idle_cpu.json"
        argv = (sys.executable, "-m", "benchmarks.idle_cpu", str(seconds), str(result))
        if run_foreground(argv, env=os.environ, stop=stop, tick=_nothing) != 0:
            raise RuntimeProblem("The CPU of an idle system could not be measured.")
        return dict(json.loads(result.read_text()))


def _nothing() -> None:
    pass


def _check_scans(results: dict[str, Any]) -> None:
    if scans := results["sluice"]["growth"]["sequential_scans"]:
        raise RuntimeProblem(f"Recurring queries that read a growing table end to end: {scans}.")


if __name__ == "__main__":
    sys.exit(main())
