"""Publishing: writing outbox rows in the caller's transaction."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from outbox.exceptions import NoHandler, NotInTransaction
from outbox.models import Priority
from outbox.queues import CHANNEL, get_queue
from outbox.registry import handlers_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """Something that happened, to be told to every handler of its type.

    `dedupe_key` is unique per handler among rows that are not discarded. `delay_seconds` holds the
    rows back after the commit.
    """

    event_type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    aggregate_id: uuid.UUID | None = None
    priority: int = Priority.NORMAL
    dedupe_key: str | None = None
    request_id: str = ""
    delay_seconds: float = 0


@dataclass(frozen=True)
class Published:
    """What became of one publish: a row per handler, or the note that it was there already."""

    row_ids: list[int]
    deduplicated: int


def publish(event: Event) -> Published:
    """Write one row for each handler of the event, in the caller's transaction."""
    return publish_many([event])


# One statement for any number of rows. The notification is part of it: PostgreSQL sends it at the
# commit, once for a transaction, and never for one that is rolled back.
INSERT_ROWS = """
    WITH inserted AS (
        INSERT INTO outbox (event_type, handler, queue, priority, payload, aggregate_id,
                            dedupe_key, request_id, max_attempts, available_at)
        SELECT event_type, handler, queue, priority, payload::jsonb, aggregate_id,
               dedupe_key, request_id, max_attempts,
               statement_timestamp() + make_interval(secs => delay_seconds)
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::smallint[], %s::text[], %s::uuid[],
                    %s::text[], %s::text[], %s::int[], %s::float8[])
            AS row(event_type, handler, queue, priority, payload, aggregate_id,
                   dedupe_key, request_id, max_attempts, delay_seconds)
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT id, pg_notify(%s, '') FROM inserted ORDER BY id
"""


def publish_many(events: Sequence[Event]) -> Published:
    """Write the rows of several events in one statement, in the caller's transaction.

    Raises `NotInTransaction` outside a transaction (change and message must commit together) and
    `NoHandler` for an event type that nobody handles.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction("publish() belongs into the transaction of the change it follows.")
    rows = [row for event in events for row in _rows(event)]
    if not rows:
        return Published(row_ids=[], deduplicated=0)
    with connection.cursor() as cursor:
        cursor.execute(
            INSERT_ROWS, [*(list(column) for column in zip(*rows, strict=True)), CHANNEL]
        )
        row_ids = [row[0] for row in cursor.fetchall()]
    published = Published(row_ids=row_ids, deduplicated=len(rows) - len(row_ids))
    if published.deduplicated:
        logger.info("deduplicated rows=%d", published.deduplicated)
    return published


def _rows(event: Event) -> list[tuple[Any, ...]]:
    handlers = handlers_of(event.event_type)
    if not handlers:
        raise NoHandler(f"Nobody handles {event.event_type}.")
    return [
        (
            event.event_type,
            handler.name,
            handler.queue,
            event.priority,
            json.dumps(event.payload),
            event.aggregate_id,
            event.dedupe_key,
            event.request_id,
            get_queue(handler.queue).retry.max_attempts,
            event.delay_seconds,
        )
        for handler in handlers
    ]
