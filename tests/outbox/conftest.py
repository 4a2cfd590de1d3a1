from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator

import pytest
import redis
from django.db import DEFAULT_DB_ALIAS, connections

from outbox import draining, window
from outbox.queues import CHANNEL, queues
from outbox.redis_client import client as redis_client
from runtime.ports import free_port
from tests.outbox.rows import QUEUE


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From now on, Redis refuses every connection."""
    closed = redis.Redis.from_url(f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setattr(window, "client", lambda: closed)
    yield
    closed.close()


@pytest.fixture
def push_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis can be read, but it is gone when ids are pushed."""
    closed = redis.Redis.from_url(f"redis://127.0.0.1:{free_port()}/0")
    real_push = window.push

    def push(queue: str, ids: object) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(window, "client", lambda: closed)
            real_push(queue, ids)  # type: ignore[arg-type]

    monkeypatch.setattr(window, "push", push)


@pytest.fixture
def stop_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Tells this process, which is now a cluster's worker, that its cluster stops."""
    reader, writer = os.pipe()
    monkeypatch.setattr(draining, "_reader", reader)
    open_ends = [writer]

    def stop() -> None:
        while open_ends:
            os.close(open_ends.pop())

    yield stop
    stop()
    os.close(reader)


@pytest.fixture
def short_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt of QUEUE may take a tenth of a second."""
    short = dataclasses.replace(queues()[QUEUE], timeout_seconds=0.1)
    monkeypatch.setitem(queues(), QUEUE, short)


@pytest.fixture
def rate_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """One attempt of QUEUE may begin in a minute."""
    limited = dataclasses.replace(queues()[QUEUE], rate_per_second=1 / 60)
    monkeypatch.setitem(queues(), QUEUE, limited)


@pytest.fixture
def listening(transactional_db: None) -> Iterator[Callable[[], int]]:
    """Listens where the relay does; waits for a notification and tells how many came (0 or 1)."""
    wrapper = connections.create_connection(DEFAULT_DB_ALIAS)
    with wrapper.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")

    def came() -> int:
        return len(list(wrapper.connection.notifies(timeout=10, stop_after=1)))

    yield came
    wrapper.close()


def ids_on_list(queue: str, priority: int | str) -> list[int]:
    """The ids of one list, first to be popped first."""
    return [int(row_id) for row_id in redis_client().lrange(f"outbox:{queue}:{priority}", 0, -1)]
