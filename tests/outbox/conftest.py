from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from outbox import window
from outbox.redis_client import client as redis_client
from runtime.ports import free_port


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


def ids_on_list(queue: str, priority: int) -> list[int]:
    """The ids of one list, first to be popped first."""
    return [int(row_id) for row_id in redis_client().lrange(f"outbox:{queue}:{priority}", 0, -1)]
