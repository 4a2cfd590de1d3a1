"""Procrastinate: its jobs and their events are rows in PostgreSQL and stay there (its default).

Run as a program this is one worker process: `… procrastinate_peer CONCURRENCY`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import psycopg
from procrastinate import App, PsycopgConnector

from benchmarks import starts
from benchmarks.contract import WORKERS, Record
from runtime.service import Service
from runtime.state import PROJECT_DIR

DATABASE = "procrastinate"
# In the same PostgreSQL as Sluice, in a database of its own.
URL = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{DATABASE}").geturl()

app = App(connector=PsycopgConnector(conninfo=URL))


# Asynchronous: procrastinate would hand a synchronous one to a thread, which takes longer.
@app.task(name="bench_noop")
async def bench_noop(key: int) -> None:
    starts.note(key)


class Procrastinate:
    """So many worker processes, each with as much concurrency as makes two workers in all."""

    def __init__(self, environment: Mapping[str, str], *, processes: int) -> None:
        self._environment = environment
        self._processes = processes
        self._concurrency = WORKERS // processes
        self.label = f"processes: {processes}, concurrency of each: {self._concurrency}"

    def services(self) -> list[Service]:
        return [
            Service(
                name=f"procrastinate-{number}",
                argv=(sys.executable, "-m", __name__, str(self._concurrency)),
                env=self._environment,
                cwd=PROJECT_DIR,
            )
            for number in range(self._processes)
        ]

    def publish_many(self, keys: Sequence[int]) -> None:
        bench_noop.batch_defer(*({"key": key} for key in keys))

    def publish_one(self, key: int) -> None:
        bench_noop.defer(key=key)

    def record(self) -> Record:
        with psycopg.connect(URL) as connection:
            row = connection.execute(
                """
                SELECT count(*), extract(epoch FROM max(at)) FROM procrastinate_events
                JOIN procrastinate_jobs AS job ON job.id = job_id
                WHERE type = 'succeeded' AND status = 'succeeded' AND attempts = 1
                """
            ).fetchone()
        succeeded, last = row or (0, None)
        return Record(succeeded=succeeded, last_end_ns=int((last or 0) * 1_000_000_000))

    def clear(self) -> None:
        with psycopg.connect(URL) as connection:
            connection.execute("TRUNCATE procrastinate_jobs CASCADE")


def prepare() -> None:
    """Make the database and its schema, and open the app for publishing from this process."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    app.open()
    app.schema_manager.apply_schema()


async def _work(concurrency: int) -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=concurrency)


if __name__ == "__main__":
    asyncio.run(_work(int(sys.argv[1])))
