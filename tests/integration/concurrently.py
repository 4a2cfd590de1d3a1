"""A second and a third hand: threads and connections of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")
DEADLINE_SECONDS = 20.0


def in_thread(function: Callable[[], T]) -> Future[T]:
    """Run the function in a thread with a database connection of its own, closed at its end."""

    def run() -> T:
        try:
            return function()
        finally:
            connections.close_all()

    executor = ThreadPoolExecutor(max_workers=1)
    future = executor.submit(run)
    executor.shutdown(wait=False)
    return future


def at_once(*functions: Callable[[], T]) -> list[T | BaseException]:
    """Run the functions in a thread each, begun together; return what each returned or raised."""
    barrier = threading.Barrier(len(functions))

    def together(function: Callable[[], T]) -> Callable[[], T]:
        def run() -> T:
            connections[DEFAULT_DB_ALIAS].ensure_connection()
            barrier.wait(DEADLINE_SECONDS)
            return function()

        return run

    futures = [in_thread(together(function)) for function in functions]
    return [
        future.exception(DEADLINE_SECONDS) or future.result(DEADLINE_SECONDS) for future in futures
    ]


@contextmanager
def another_connection() -> Iterator[BaseDatabaseWrapper]:
    """A second connection in this thread; it may hold a transaction open as long as it likes."""
    connection = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = 0")
        yield connection
    finally:
        connection.close()


def ask(connection: BaseDatabaseWrapper, query: str, *parameters: Any) -> Any:
    """Return the first column of the first row, or None for a statement without rows."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def terminate_backend(pid: int) -> None:
    """Cut off the connection that this backend of PostgreSQL serves, and wait for its end."""
    with another_connection() as killer:
        assert ask(killer, "SELECT pg_terminate_backend(%s, 5000)", pid)


def is_blocked(pid: int) -> bool:
    """Tell whether this backend of PostgreSQL waits for somebody's lock."""
    blockers = ask(connections[DEFAULT_DB_ALIAS], "SELECT cardinality(pg_blocking_pids(%s))", pid)
    return bool(blockers)
