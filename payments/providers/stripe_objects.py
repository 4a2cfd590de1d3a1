"""What Stripe's objects and events mean to us.

Each function takes parsed JSON of Stripe's, and raises ValueError, LookupError or TypeError if
something is amiss in it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from payments.providers.base import (
    Checkout,
    CheckoutReport,
    CheckoutStatus,
    EventType,
    ProviderEvent,
    RefundReport,
    RefundStatus,
)
from payments.providers.stripe_amounts import from_stripe

REFUND_STATUSES: dict[str | None, RefundStatus] = {
    None: "pending",
    "pending": "pending",
    "requires_action": "pending",  # the student has to say where the money may go
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}
REFUND_EVENTS: dict[RefundStatus, EventType] = {"succeeded": "refunded", "failed": "refund_failed"}
# A payment that can't succeed any more at a completed checkout, which is closed to new cards.
ENDED_PAYMENTS = {"requires_payment_method", "canceled"}


def checkout(session: Any) -> Checkout:
    """Return the page of a session that has just been made."""
    return Checkout(
        session_id=_text(session["id"]),
        url=_text(session["url"]),
        expires_at=datetime.fromtimestamp(_integer(session["expires_at"]), UTC),
    )


def checkout_report(session: Any) -> CheckoutReport:
    """Return the state of a session whose `payment_intent` is expanded."""
    status = _checkout_status(session)
    currency = _text(session["currency"]).upper()
    return CheckoutReport(
        session_id=_text(session["id"]),
        status=status,
        payment_reference=_text(session["payment_intent"]["id"]) if status == "paid" else None,
        reference=_text(session["client_reference_id"]),
        amount=from_stripe(_integer(session["amount_total"]), currency),
        currency=currency,
    )


def _checkout_status(session: Any) -> CheckoutStatus:
    if session["payment_status"] == "paid":
        return "paid"
    if session["status"] == "complete":
        # Paid in a way that takes days, by transfer for example: money may still come, or not.
        return "expired" if session["payment_intent"]["status"] in ENDED_PAYMENTS else "open"
    return "open" if session["status"] == "open" else "expired"


def refund_report(refund: Any) -> RefundReport:
    """Return the state of a refund."""
    return RefundReport(
        refund_reference=_text(refund["id"]), status=REFUND_STATUSES[refund["status"]]
    )


def event(content: Any) -> ProviderEvent | None:
    """Return what an event says; None if that is nothing to us."""
    read = READERS.get(_text(content["type"]))
    return read(_text(content["id"]), content["data"]["object"]) if read else None


def _session_paid(event_id: str, session: Any) -> ProviderEvent | None:
    if session["payment_status"] != "paid":
        return None  # another event follows when the money has come
    return _session_event(event_id, "paid", session)


def _session_declined(event_id: str, session: Any) -> ProviderEvent | None:
    return _session_event(event_id, "declined", session)


def _session_expired(event_id: str, session: Any) -> ProviderEvent | None:
    return _session_event(event_id, "expired", session)


def _session_event(event_id: str, event_type: EventType, session: Any) -> ProviderEvent | None:
    reference = session["client_reference_id"]
    if session["mode"] != "payment" or reference is None:
        return None  # of something else that uses the same account
    currency = _text(session["currency"]).upper()
    return ProviderEvent(
        event_id=event_id,
        type=event_type,
        session_id=_text(session["id"]),
        payment_reference=_text(session["payment_intent"]) if event_type == "paid" else None,
        reference=_text(reference),
        amount=from_stripe(_integer(session["amount_total"]), currency),
        currency=currency,
    )


def _payment_declined(event_id: str, payment: Any) -> ProviderEvent | None:
    reference = _reference(payment)
    if not reference:
        return None  # of something else that uses the same account
    currency = _text(payment["currency"]).upper()
    return ProviderEvent(
        event_id=event_id,
        type="declined",
        session_id="",
        payment_reference=None,
        reference=reference,
        amount=from_stripe(_integer(payment["amount"]), currency),
        currency=currency,
    )


def _refund_changed(event_id: str, refund: Any) -> ProviderEvent | None:
    event_type = REFUND_EVENTS.get(REFUND_STATUSES[refund["status"]])
    if event_type is None or refund["payment_intent"] is None:
        return None
    refund_id = _text(refund["id"])
    currency = _text(refund["currency"]).upper()
    return ProviderEvent(
        # Not the id of Stripe's event: it sends several that say the same of a refund.
        event_id=f"{refund_id}:{event_type}",
        type=event_type,
        session_id="",
        payment_reference=_text(refund["payment_intent"]),
        reference=_reference(refund),
        amount=from_stripe(_integer(refund["amount"]), currency),
        currency=currency,
        refund_reference=refund_id,
    )


READERS: dict[str, Callable[[str, Any], ProviderEvent | None]] = {
    "checkout.session.completed": _session_paid,
    "checkout.session.async_payment_succeeded": _session_paid,
    "checkout.session.async_payment_failed": _session_declined,
    "checkout.session.expired": _session_expired,
    # A declined card. The session stays open for another one and has no event for it.
    "payment_intent.payment_failed": _payment_declined,
    "refund.created": _refund_changed,
    "refund.updated": _refund_changed,
    "refund.failed": _refund_changed,
}


def _reference(thing: Any) -> str:
    """Return the reference in the metadata; empty in a refund made by hand, as there is none."""
    metadata = thing["metadata"]
    return _text(metadata["reference"]) if metadata and "reference" in metadata else ""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value
