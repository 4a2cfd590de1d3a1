"""The events to tell of: written with what happened, and due to be sent when they should be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from payments.sandbox import behaviour
from payments.sandbox.records import Event, EventType, iso
from payments.sandbox.schema import EVENT_QUERY
from payments.sandbox.transaction import Transaction, new_id

STEP = 0.001  # seconds between two events that are due in a certain order


@dataclass(frozen=True, kw_only=True)
class Telling:
    """How one event is to be told; `behaviour.Behaviour` comes on top of it."""

    delay_seconds: float = 0.0
    copies: int = 1


def add(
    tx: Transaction, event_type: EventType, data: dict[str, Any], telling: Telling | None = None
) -> None:
    """Write an event of the session `data["sessionId"]`, as the behaviour wants it told."""
    telling = telling or Telling()
    wanted = behaviour.read(tx)
    is_dropped = behaviour.count_down(tx, "drop_webhooks")
    is_held = not is_dropped and behaviour.count_down(tx, "reverse_webhooks")
    due_at = tx.now + telling.delay_seconds + wanted.webhook_delay_seconds
    event_id = new_id("evt")
    # The bytes are kept, not the facts, so that every attempt sends the same ones.
    body = {"id": event_id, "type": event_type, "createdAt": iso(tx.now), "data": data}
    tx.db.execute(
        "INSERT INTO events (id, session_id, body, created_at, next_attempt_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            *(event_id, data["sessionId"], json.dumps(body).encode(), tx.now),
            None if is_dropped or is_held else due_at,
        ),
    )
    copies = max(telling.copies, wanted.webhook_copies)
    if is_held or copies > 1:
        tx.db.execute(
            "INSERT INTO event_plans (event_id, copies, is_held) VALUES (?, ?, ?)",
            (event_id, copies, is_held),
        )
    if is_held and wanted.reverse_webhooks == 1:
        let_go(tx)


def let_go(tx: Transaction) -> None:
    """Make the events that are held back due, the newest first."""
    delay = behaviour.read(tx).webhook_delay_seconds
    held = tx.db.execute(
        "SELECT e.id FROM event_plans JOIN events e ON e.id = event_id WHERE is_held"
        " ORDER BY e.rowid DESC"
    ).fetchall()
    for place, (event_id,) in enumerate(held):
        tx.db.execute(
            "UPDATE events SET next_attempt_at = ? WHERE id = ?",
            (tx.now + delay + place * STEP, event_id),
        )
        tx.db.execute("UPDATE event_plans SET is_held = 0 WHERE event_id = ?", [event_id])


def due(tx: Transaction, limit: int) -> list[Event]:
    """Return the events to send now, the longest due first."""
    rows = tx.db.execute(
        f"{EVENT_QUERY} WHERE next_attempt_at <= ? ORDER BY next_attempt_at, e.rowid LIMIT ?",
        (tx.now, limit),
    ).fetchall()
    return [Event(**dict(row)) for row in rows]


def mark_delivered(tx: Transaction, event_id: str) -> None:
    tx.db.execute(
        "UPDATE events SET delivered_at = ?, next_attempt_at = NULL WHERE id = ?",
        (tx.now, event_id),
    )


def mark_failed(tx: Transaction, event_id: str, *, retry_in: float | None) -> None:
    """Count a failed attempt; the next one is due in `retry_in` seconds, or never if None."""
    tx.db.execute(
        "UPDATE events SET attempts = attempts + 1, next_attempt_at = ? WHERE id = ?",
        (None if retry_in is None else tx.now + retry_in, event_id),
    )
