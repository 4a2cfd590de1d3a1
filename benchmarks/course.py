"""All measurements, one after another; Django must be set up and the servers must run."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import Any

from benchmarks.bench import Bench
from benchmarks.comparison import Contestant, compare, figures, percentiles
from benchmarks.growth import grow
from benchmarks.measurements import drain_rate, idle_latencies
from benchmarks.peers import procrastinate_peer
from benchmarks.peers.celery_peer import Celery
from benchmarks.peers.procrastinate_peer import Procrastinate
from benchmarks.rebuild import rebuild_seconds
from benchmarks.recurring_queries import Query, recurring_queries
from benchmarks.relays import relay_rates
from benchmarks.setup import setup
from benchmarks.sluice import Sluice


def measure(bench: Bench, idle_cpu: dict[str, float]) -> dict[str, Any]:
    """Return all results; `idle_cpu` has been measured before, on a system of its own."""
    compared = _compare(bench)
    ratio = compared["sluice"]["drain_per_s"] / compared["procrastinate"]["drain_per_s"]
    compared["sluice"] |= {
        "drain_vs_procrastinate": ratio,
        **_idle_cpu(idle_cpu, bench.sizes.idle_cpu_seconds),
        **_relays_and_rebuild(bench),
        "growth": _growth(bench),
    }
    return {"setup": setup(bench.sizes), **compared}


def _compare(bench: Bench) -> dict[str, dict[str, Any]]:
    procrastinate_peer.prepare()
    environment = bench.environment
    contestants = [
        Contestant("sluice", [Sluice(environment)]),
        Contestant("procrastinate", [Procrastinate(environment, processes=n) for n in (2, 1)]),
        Contestant("celery", [Celery(environment)]),
    ]
    compare(bench, contestants)
    return {contestant.name: figures(contestant) for contestant in contestants}


def _idle_cpu(cpu_seconds: dict[str, float], seconds: int) -> dict[str, Any]:
    total = sum(cpu_seconds.values())
    return {
        "idle_cpu_percent_of_core": 100 * total / seconds,
        "idle_cpu_s_per_minute": 60 * total / seconds,
        "idle_cpu_percent_by_service": {
            name: 100 * used / seconds for name, used in cpu_seconds.items()
        },
    }


def _relays_and_rebuild(bench: Bench) -> dict[str, Any]:
    with bench.console.step("sluice: relay_rates"):
        relays = relay_rates(bench)
    with bench.console.step("sluice: rebuild_seconds"):
        rebuild = rebuild_seconds(bench)
    return {
        "relays": relays,
        "rebuild_100k_s": max(rebuild["window_s"], rebuild["next_row_s"]),
        "rebuild_100k_window_s": rebuild["window_s"],
        "rebuild_100k_next_row_s": rebuild["next_row_s"],
        "rebuild_100k_lost_ids_s": rebuild["lost_ids_s"],
    }


def _growth(bench: Bench) -> dict[str, Any]:
    engine = Sluice(bench.environment, keep_rows=True)
    with bench.console.step(f"sluice: a table of {bench.sizes.growth_rows} delivered rows"):
        grow(bench, engine, bench.sizes.growth_rows)
    with bench.console.step("sluice: drain_rate, grown"):
        rates = [drain_rate(bench, engine) for _ in range(bench.sizes.repetitions)]
    with bench.console.step("sluice: idle_latencies, grown"):
        p50, p95 = percentiles(idle_latencies(bench, engine))
    with bench.console.step("sluice: recurring queries, grown"):
        queries = recurring_queries(engine)
    return {
        "rows": bench.sizes.growth_rows,
        "drain_per_s": statistics.median(rates),
        "every_drain_per_s": rates,
        "idle_p50_ms": p50,
        "idle_p95_ms": p95,
        "recurring_queries": [_query(query) for query in queries],
        "sequential_scans": sum(query.slows_down for query in queries),
    }


def _query(query: Query) -> dict[str, Any]:
    return {
        **asdict(query),
        "indexes": sorted(query.indexes),
        "sequential_scans": sorted(query.sequential_scans),
    }
