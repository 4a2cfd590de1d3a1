"""Sluice beside its peers: each measured alone, in turns, on the same servers."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from benchmarks.bench import Bench
from benchmarks.contract import Engine
from benchmarks.measurements import drain_rate, idle_latencies, publish_one_rate, publish_rate

T = TypeVar("T")


@dataclass
class Contestant:
    """One engine and its measured values; `drain` and `idle` have an entry per configuration."""

    name: str
    configurations: list[Engine]
    publish: list[float] = field(default_factory=list)
    publish_one: list[float] = field(default_factory=list)
    drain: dict[str, list[float]] = field(default_factory=dict)
    idle: dict[str, list[float]] = field(default_factory=dict)


def compare(bench: Bench, contestants: list[Contestant]) -> None:
    """Measure all of them, turn by turn, each turn beginning with another one."""
    for turn in range(bench.sizes.repetitions):
        first = turn % len(contestants)
        for contestant in contestants[first:] + contestants[:first]:
            _publish(bench, contestant)
            _drain(bench, contestant)
    for contestant in contestants:
        _idle(bench, contestant)


def _publish(bench: Bench, contestant: Contestant) -> None:
    engine = contestant.configurations[0]
    for measure, values in (
        (publish_rate, contestant.publish),
        (publish_one_rate, contestant.publish_one),
    ):
        values.append(step(bench, f"{contestant.name}: {measure.__name__}", measure, engine))


def _drain(bench: Bench, contestant: Contestant) -> None:
    for engine in contestant.configurations:
        rate = step(bench, f"{contestant.name}: drain_rate, {engine.label}", drain_rate, engine)
        contestant.drain.setdefault(engine.label, []).append(rate)


def _idle(bench: Bench, contestant: Contestant) -> None:
    for engine in contestant.configurations:
        title = f"{contestant.name}: idle_latencies, {engine.label}"
        contestant.idle[engine.label] = step(bench, title, idle_latencies, engine)


def step(bench: Bench, title: str, measure: Callable[[Bench, Engine], T], engine: Engine) -> T:
    with bench.console.step(title):
        return measure(bench, engine)


def figures(contestant: Contestant) -> dict[str, Any]:
    """Return the medians; of several configurations, the better one counts for each figure."""
    drains = {label: statistics.median(rates) for label, rates in contestant.drain.items()}
    idles = {label: percentiles(values) for label, values in contestant.idle.items()}
    best_drain = max(drains, key=lambda label: drains[label])
    best_idle = min(idles, key=lambda label: idles[label])
    return {
        "drain_per_s": drains[best_drain],
        "publish_per_s": statistics.median(contestant.publish),
        "publish_one_per_s": statistics.median(contestant.publish_one),
        "idle_p50_ms": idles[best_idle][0],
        "idle_p95_ms": idles[best_idle][1],
        "drain_configuration": best_drain,
        "idle_configuration": best_idle,
        "every_publish_per_s": contestant.publish,
        "every_publish_one_per_s": contestant.publish_one,
        "every_drain_per_s": contestant.drain,
    }


def percentiles(values: list[float]) -> tuple[float, float]:
    """Return p50 and p95."""
    hundredths = statistics.quantiles(values, n=100, method="inclusive")
    return hundredths[49], hundredths[94]
