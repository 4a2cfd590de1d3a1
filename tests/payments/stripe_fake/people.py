"""What people do: the student at the hosted checkout, their bank, somebody in the dashboard."""

from __future__ import annotations

from typing import Any

from tests.payments.stripe_fake import objects
from tests.payments.stripe_fake.store import Store


class People:
    """Acts on the store as people do. Each act leaves the events that Stripe would send."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._intents: dict[str, dict[str, Any]] = {}  # of open sessions, after a first try

    def pay(self, session_id: str) -> str:
        """Pay with a card; return the id of the payment."""
        with self._store.lock:
            session, intent = self._try(session_id)
            self._capture(intent)
            session |= _complete(intent) | {"payment_status": "paid"}
            self._store.record("checkout.session.completed", session)
            return str(intent["id"])

    def decline(self, session_id: str) -> None:
        """Try with a card that is declined; the session stays open for another one."""
        with self._store.lock:
            _session, intent = self._try(session_id)
            self._refuse(intent)

    def pay_later(self, session_id: str) -> str:
        """Pay in a way that takes days; `settle` or `bounce` ends it. Return the payment's id."""
        with self._store.lock:
            session, intent = self._try(session_id)
            intent["status"] = "processing"
            session |= _complete(intent)
            self._store.record("payment_intent.processing", intent)
            self._store.record("checkout.session.completed", session)
            return str(intent["id"])

    def settle(self, session_id: str) -> None:
        """The money of `pay_later` has come."""
        with self._store.lock:
            session, intent = self._pending(session_id)
            self._capture(intent)
            session["payment_status"] = "paid"
            self._store.record("checkout.session.async_payment_succeeded", session)

    def bounce(self, session_id: str) -> None:
        """The money of `pay_later` won't come."""
        with self._store.lock:
            session, intent = self._pending(session_id)
            self._refuse(intent)
            self._store.record("checkout.session.async_payment_failed", session)

    def expire(self, session_id: str) -> None:
        """Time passes until the session ends by itself."""
        with self._store.lock:
            self._store.expire_session(session_id)

    def refund_by_hand(self, payment_id: str, amount: int | None = None) -> str:
        """Pay back in the dashboard, all by default; return the id of the refund."""
        params = {"payment_intent": payment_id}
        with self._store.lock:
            if amount is not None:
                params["amount"] = str(amount)
            return str(self._store.create_refund(params)["id"])

    def end_refund(self, refund_id: str, status: str) -> None:
        """Let a refund become "succeeded", "failed" or "canceled"."""
        with self._store.lock:
            refund = self._store.refund(refund_id)
            before = {"status": refund["status"]}
            refund["status"] = status
            self._store.count_refunds(self._store.charges[refund["charge"]])
            self._store.record("refund.updated", refund, before)
            if status == "failed":
                self._store.record("refund.failed", refund)

    def name_receipt(self, refund_id: str) -> None:
        """The bank names the receipt of a refund, days later: it is updated, its status is not."""
        with self._store.lock:
            refund = self._store.refund(refund_id)
            refund["receipt_number"] = "1234-5678"
            self._store.record("refund.updated", refund, {"receipt_number": None})

    def _try(self, session_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
        session = self._store.session(session_id)
        if session["status"] != "open":
            raise ValueError(f"nobody can pay at a session that is {session['status']}")
        if session_id not in self._intents:
            metadata = self._store.intent_metadata[session_id]
            intent = objects.payment_intent(session, metadata)
            self._intents[session_id] = self._store.intents[intent["id"]] = intent
            self._store.record("payment_intent.created", intent)
        return session, self._intents[session_id]

    def _pending(self, session_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
        session = self._store.session(session_id)
        intent = self._intents[session_id]
        if intent["status"] != "processing":
            raise ValueError(f"the payment is {intent['status']}")
        return session, intent

    def _capture(self, intent: dict[str, Any]) -> None:
        charge = objects.charge(intent)
        self._store.charges[charge["id"]] = charge
        intent |= {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "latest_charge": charge["id"],
            "last_payment_error": None,
        }
        self._store.record("charge.succeeded", charge)
        self._store.record("payment_intent.succeeded", intent)

    def _refuse(self, intent: dict[str, Any]) -> None:
        intent |= {
            "status": "requires_payment_method",
            "last_payment_error": {"code": "card_declined", "type": "card_error"},
        }
        self._store.record("payment_intent.payment_failed", intent)


def _complete(intent: dict[str, Any]) -> dict[str, Any]:
    return {"status": "complete", "payment_intent": intent["id"], "url": None}
