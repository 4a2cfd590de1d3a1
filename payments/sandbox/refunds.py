"""The table of refunds."""

from __future__ import annotations

import sqlite3

from payments.sandbox import behaviour, events, sessions
from payments.sandbox.records import EventType, NewRefund, Refund, RefundStatus
from payments.sandbox.schema import INSERT_REFUND, REFUND_QUERY
from payments.sandbox.transaction import IdempotencyMismatch, Transaction, new_id

EVENT_TYPES: dict[RefundStatus, EventType] = {
    "succeeded": "refund.succeeded",
    "failed": "refund.failed",
}


class UnknownPayment(Exception):
    """There is no payment of this id."""


class WrongCurrency(Exception):
    """The payment was made in another currency."""


class RefundTooLarge(Exception):
    """More would be paid back than was captured, earlier refunds included."""


def create(
    tx: Transaction, new: NewRefund, *, idempotency_key: str, fingerprint: str
) -> tuple[Refund, bool]:
    """See `Store.create_refund`."""
    payment = sessions.find_payment(tx, new.payment_id)
    if payment is None:
        raise UnknownPayment
    if new.currency not in {None, payment.currency}:
        raise WrongCurrency
    values = {
        "id": new_id("re"),
        "idempotency_key": idempotency_key,
        "fingerprint": fingerprint,
        "payment_id": new.payment_id,
        "reference": new.reference,
        "amount": new.amount,
        "status": behaviour.read(tx).refund_outcome,
        "created_at": tx.now,
    }
    created = _insert(tx, values)
    row = tx.db.execute(
        "SELECT id, fingerprint FROM refunds WHERE idempotency_key = ?", [idempotency_key]
    ).fetchone()
    if row["fingerprint"] != fingerprint:
        raise IdempotencyMismatch
    refund = _get(tx, row["id"])
    if created:
        _tell(tx, refund)
    return refund, created


def find(tx: Transaction, refund_id: str) -> Refund | None:
    row = tx.db.execute(f"{REFUND_QUERY} WHERE r.id = ?", [refund_id]).fetchone()
    return None if row is None else Refund(**dict(row))


def settle_pending(tx: Transaction, outcome: RefundStatus) -> None:
    """Let all pending refunds end so, oldest first, and tell of each."""
    pending = tx.db.execute(
        "SELECT id FROM refunds WHERE status = 'pending' ORDER BY created_at, rowid"
    ).fetchall()
    for (refund_id,) in pending:
        tx.db.execute("UPDATE refunds SET status = ? WHERE id = ?", (outcome, refund_id))
        _tell(tx, _get(tx, refund_id))


def _insert(tx: Transaction, values: dict[str, object]) -> bool:
    """Insert a refund and return True, or False if its key is there already."""
    try:
        return tx.db.execute(INSERT_REFUND, values).rowcount == 1
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorname == "SQLITE_CONSTRAINT_TRIGGER":
            raise RefundTooLarge from error
        raise


def _get(tx: Transaction, refund_id: str) -> Refund:
    refund = find(tx, refund_id)
    if refund is None:
        raise LookupError(refund_id)
    return refund


def _tell(tx: Transaction, refund: Refund) -> None:
    """Write the event of a settled refund; of a pending one there is nothing to tell."""
    if refund.status == "pending":
        return
    data = {
        "refundId": refund.id,
        "paymentId": refund.payment_id,
        "sessionId": refund.session_id,
        "reference": refund.reference,
        "amount": refund.amount,
        "currency": refund.currency,
    }
    events.add(tx, EVENT_TYPES[refund.status], data)
