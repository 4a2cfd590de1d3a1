"""The tables of checkout sessions and of the payments made for them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from payments.sandbox import events
from payments.sandbox.events import Telling
from payments.sandbox.records import EventType, NewSession, Payment, PaymentStatus, Session
from payments.sandbox.schema import INSERT_SESSION, PAYMENT_QUERY, SESSION_QUERY
from payments.sandbox.transaction import IdempotencyMismatch, Transaction, new_id

EVENT_TYPES: dict[PaymentStatus, EventType] = {
    "succeeded": "checkout.paid",
    "failed": "checkout.declined",
}


def create(
    tx: Transaction, new: NewSession, *, idempotency_key: str, fingerprint: str
) -> tuple[Session, bool]:
    """See `Store.create_session`."""
    values = asdict(new) | {
        "id": new_id("cs"),
        "idempotency_key": idempotency_key,
        "fingerprint": fingerprint,
        "created_at": tx.now,
        "expires_at": tx.now + new.expires_in_seconds,
    }
    # The unique index decides between two requests with one key: one inserts, the other
    # changes nothing and reads what the first one made.
    created = tx.db.execute(INSERT_SESSION, values).rowcount == 1
    row = tx.db.execute(
        "SELECT id, fingerprint FROM sessions WHERE idempotency_key = ?", [idempotency_key]
    ).fetchone()
    if row["fingerprint"] != fingerprint:
        raise IdempotencyMismatch
    return get(tx, row["id"]), created


def find(tx: Transaction, session_id: str) -> Session | None:
    row = tx.db.execute(SESSION_QUERY, [session_id]).fetchone()
    if row is None:
        return None
    return Session(**{**dict(row), "was_declined": bool(row["was_declined"])})


def get(tx: Transaction, session_id: str) -> Session:
    """Return a session that is there; raise LookupError if it is not."""
    session = find(tx, session_id)
    if session is None:
        raise LookupError(session_id)
    return session


def expire(tx: Transaction, session_id: str) -> None:
    """End the session if it is open, and tell of it."""
    ended = tx.db.execute(
        "UPDATE sessions SET status = 'expired' WHERE status = 'open' AND id = ?", [session_id]
    )
    if ended.rowcount == 1:
        events.add(tx, "checkout.expired", _event_data(get(tx, session_id), None))


def expire_late(tx: Transaction) -> None:
    """End the open sessions whose time is over."""
    late = tx.db.execute(
        "SELECT id FROM sessions WHERE status = 'open' AND expires_at <= ?", [tx.now]
    ).fetchall()
    for (session_id,) in late:
        expire(tx, session_id)


def try_card(
    tx: Transaction, session_id: str, status: PaymentStatus, telling: Telling | None = None
) -> Session | None:
    """Make a payment of this outcome for an open session, and return the session as it is then."""
    session = find(tx, session_id)
    if session is None or session.status != "open":
        return session
    payment_id = new_id("pay")
    tx.db.execute(
        "INSERT INTO payments (id, session_id, status, created_at) VALUES (?, ?, ?, ?)",
        (payment_id, session_id, status, tx.now),
    )
    if status == "succeeded":
        tx.db.execute("UPDATE sessions SET status = 'paid' WHERE id = ?", [session_id])
    events.add(tx, EVENT_TYPES[status], _event_data(session, payment_id), telling)
    return get(tx, session_id)


def list_payments(tx: Transaction, *, reference: str, status: str | None) -> list[Payment]:
    """See `Store.payments`."""
    rows = tx.db.execute(
        f"{PAYMENT_QUERY} WHERE s.reference = ? AND (? IS NULL OR p.status = ?)"
        " ORDER BY p.created_at, p.rowid",
        (reference, status, status),
    ).fetchall()
    return [Payment(**dict(row)) for row in rows]


def find_payment(tx: Transaction, payment_id: str) -> Payment | None:
    row = tx.db.execute(f"{PAYMENT_QUERY} WHERE p.id = ?", [payment_id]).fetchone()
    return None if row is None else Payment(**dict(row))


def _event_data(session: Session, payment_id: str | None) -> dict[str, Any]:
    return {
        "sessionId": session.id,
        "paymentId": payment_id,
        "reference": session.reference,
        "amount": session.amount,
        "currency": session.currency,
    }
