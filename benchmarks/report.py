"""The results as JSON and as tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ENGINES = ("sluice", "procrastinate", "celery")
COMPARED = {
    "drain_per_s": "drain, rows/s",
    "publish_per_s": "publish in bulk, rows/s",
    "publish_one_per_s": "publish one by one, rows/s",
    "idle_p50_ms": "idle latency p50, ms",
    "idle_p95_ms": "idle latency p95, ms",
}
SHORT_SQL = 70


def write(results: dict[str, Any], *, directory: Path, name: str) -> str:
    """Write `name`.json and `name`.md to the directory; return the Markdown."""
    directory.mkdir(exist_ok=True)
    results = rounded(results)
    markdown = tables(results)
    (directory / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n")
    (directory / f"{name}.md").write_text(markdown)
    return markdown


def rounded(value: Any) -> Any:
    """Return the same with every number to three digits after the point at most."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return round(value, 3) if isinstance(value, float) else value


def tables(results: dict[str, Any]) -> str:
    setup = ", ".join(f"{name} {value}" for name, value in results["setup"].items())
    growth = results["sluice"]["growth"]
    parts = (
        "# Engine benchmark",
        f"Setup: {setup}.",
        _table(("", *ENGINES), _compared_rows(results)),
        _table(("Sluice", ""), _sluice_rows(results["sluice"])),
        f"Recurring queries beside {growth['rows']:,} delivered rows:",
        _table(
            ("step", "statement", "indexes", "read from end to end", "ms"),
            _query_rows(growth["recurring_queries"]),
        ),
    )
    return "\n\n".join(parts) + "\n"


def _compared_rows(results: dict[str, Any]) -> Iterable[Sequence[str]]:
    for name, title in COMPARED.items():
        yield title, *(_number(results[engine][name]) for engine in ENGINES)


def _sluice_rows(sluice: dict[str, Any]) -> Iterable[Sequence[str]]:
    growth = sluice["growth"]
    rows = f"{growth['rows']:,} delivered rows"
    yield "drain, times that of Procrastinate", f"{sluice['drain_vs_procrastinate']:.2f}"
    yield "CPU of the whole idle system, % of a core", _number(sluice["idle_cpu_percent_of_core"])
    yield f"drain beside {rows}, rows/s", _number(growth["drain_per_s"])
    yield f"idle latency p50 beside {rows}, ms", _number(growth["idle_p50_ms"])
    yield f"idle latency p95 beside {rows}, ms", _number(growth["idle_p95_ms"])
    for relays, rate in sluice["relays"].items():
        yield f"moved to Redis, relays: {relays}, rows/s", _number(rate)
    yield "after FLUSHALL: ids are in Redis and a row starts, s", _number(sluice["rebuild_100k_s"])
    yield "after FLUSHALL: every lost id is back, s", _number(sluice["rebuild_100k_lost_ids_s"])


def _query_rows(queries: list[dict[str, Any]]) -> Iterable[Sequence[str]]:
    for query in queries:
        sql = query["sql"].replace("|", "\\|")
        short = sql if len(sql) <= SHORT_SQL else f"{sql[:SHORT_SQL]}…"
        indexes, scans = (", ".join(query[key]) for key in ("indexes", "sequential_scans"))
        yield query["step"], f"`{short}`", indexes, scans, _number(query["ms"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
