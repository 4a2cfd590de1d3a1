"""Which function handles which event: filled by the decorator `handler` in each `handlers.py`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outbox.queues import get_queue

# The handler's own database effects; delivery commits them together with the outcome.
Finish = Callable[[], object]


@dataclass(frozen=True)
class Message:
    """What a handler gets to see of its row.

    `idempotency_key` is the same in every attempt and after a retry by staff: pass it to
    providers, so that an effect outside happens once.
    """

    id: int
    event_type: str
    payload: Mapping[str, Any]
    aggregate_id: uuid.UUID | None
    attempt: int
    request_id: str

    @classmethod
    def from_columns(cls, columns: Sequence[Any]) -> Message:
        """Build one from the columns id, event_type, payload, aggregate_id, attempt_count,
        request_id of a raw row, in this order."""
        row_id, event_type, payload, aggregate_id, attempt, request_id = columns
        return cls(row_id, event_type, json.loads(payload), aggregate_id, attempt, request_id)

    @property
    def idempotency_key(self) -> str:
        return f"outbox-{self.id}"


Work = Callable[[Message], Finish | None]
Step = Callable[[Message], object]


@dataclass(frozen=True)
class Handler:
    """A registered handler and its optional steps; see `handler`."""

    name: str
    event_type: str
    queue: str
    work: Work
    start: Step | None
    on_dead: Step | None


_handlers: dict[str, Handler] = {}


def handler(
    event_type: str, *, queue: str, start: Step | None = None, on_dead: Step | None = None
) -> Callable[[Work], Work]:
    """Register the decorated function for `event_type`, to run on `queue`.

    The function does the slow work, outside any transaction, and may return a callable with its
    own database effects: that one is committed together with `delivered`. `start` is committed
    before the work begins, in every attempt; `on_dead` when the row becomes a dead letter. The
    function's name is stored in the rows: rename it only when none is left.
    """
    get_queue(queue)

    def register(work: Work) -> Work:
        name = work.__name__
        if name in _handlers:
            raise ValueError(f"Two handlers are called {name}.")
        _handlers[name] = Handler(name, event_type, queue, work, start, on_dead)
        return work

    return register


def handlers_of(event_type: str) -> list[Handler]:
    """Return the handlers of an event type; each gets a row of its own."""
    return [handler for handler in _handlers.values() if handler.event_type == event_type]


def find_handler(name: str) -> Handler | None:
    """Return the handler called `name`, or None when this release has none."""
    return _handlers.get(name)
