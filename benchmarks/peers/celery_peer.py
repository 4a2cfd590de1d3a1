"""Celery: messages and results are in Redis; a message is acknowledged after its task has run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import redis
from celery import Celery as CeleryApp

from benchmarks import starts
from benchmarks.contract import WORKERS, Record
from runtime.service import Service
from runtime.state import PROJECT_DIR

QUEUE = "bench"
RESULT_KEYS = "celery-task-meta-*"


def _url(database: int) -> str:
    """Return the address of a database of the same Valkey; Sluice uses number 0."""
    return urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{database}").geturl()


# Without `fixups` it would load Sluice's Django, as DJANGO_SETTINGS_MODULE is set.
app = CeleryApp("bench", broker=_url(1), backend=_url(2), fixups=[])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_default_queue=QUEUE,
    worker_prefetch_multiplier=1,
)
# Knows of no result backend: with one, publishing also subscribes to each result.
publisher = CeleryApp("bench", broker=_url(1), fixups=[], set_as_current=False)
publisher.conf.task_default_queue = QUEUE


@app.task(name="bench_noop")
def bench_noop(key: int) -> None:
    starts.note(key)


class Celery:
    label = "prefork pool of 2 processes"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._broker = redis.Redis.from_url(_url(1))
        self._results = redis.Redis.from_url(_url(2))
        self._producer = publisher.amqp.Producer(publisher.connection_for_write())

    def services(self) -> list[Service]:
        options = ("--pool", "prefork", "--concurrency", str(WORKERS), "--loglevel", "WARNING")
        argv = (sys.executable, "-m", "celery", "-A", __name__, "worker", *options)
        return [Service(name="celery", argv=argv, env=self._environment, cwd=PROJECT_DIR)]

    def publish_many(self, keys: Sequence[int]) -> None:
        for key in keys:
            self.publish_one(key)

    def publish_one(self, key: int) -> None:
        publisher.send_task("bench_noop", args=(key,), producer=self._producer)

    def record(self) -> Record:
        ends = [
            datetime.fromisoformat(result["date_done"])
            for result in self._read_results()
            if result["status"] == "SUCCESS"
        ]
        return Record(
            succeeded=len(ends),
            last_end_ns=int(max(ends).timestamp() * 1e9) if ends else 0,
        )

    def clear(self) -> None:
        self._broker.flushdb()
        self._results.flushdb()

    def _read_results(self) -> Iterator[dict[str, Any]]:
        keys = list(self._results.scan_iter(RESULT_KEYS, count=1_000))
        for value in self._results.mget(keys) if keys else ():
            if value is not None:
                yield json.loads(value)
