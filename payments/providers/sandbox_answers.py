"""Reads what the sandbox says, in answers and in webhooks.

Each function takes decoded JSON of any shape, and raises ValueError, LookupError or TypeError if
something is amiss in it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from payments.providers.base import (
    Checkout,
    CheckoutReport,
    CheckoutStatus,
    EventType,
    ProviderEvent,
    RefundReport,
    RefundStatus,
)

Choice = TypeVar("Choice")

EVENT_TYPES: dict[str, EventType] = {
    "checkout.paid": "paid",
    "checkout.declined": "declined",
    "checkout.expired": "expired",
    "refund.succeeded": "refunded",
    "refund.failed": "refund_failed",
}
CHECKOUT_STATUSES: tuple[CheckoutStatus, ...] = ("open", "paid", "expired")
REFUND_STATUSES: tuple[RefundStatus, ...] = ("pending", "succeeded", "failed")


def checkout(content: Any) -> Checkout:
    return Checkout(
        session_id=_text(content["id"]),
        url=_text(content["url"]),
        expires_at=datetime.fromisoformat(content["expiresAt"]),
    )


def checkout_report(content: Any) -> CheckoutReport:
    status = _one_of(CHECKOUT_STATUSES, content["status"])
    return CheckoutReport(
        session_id=_text(content["id"]),
        status=status,
        payment_reference=_text(content["paymentId"]) if status == "paid" else None,
        reference=_text(content["reference"]),
        amount=_integer(content["amount"]),
        currency=_text(content["currency"]),
    )


def refund_report(content: Any) -> RefundReport:
    return RefundReport(
        refund_reference=_text(content["id"]), status=_one_of(REFUND_STATUSES, content["status"])
    )


def event(content: Any) -> ProviderEvent | None:
    """Return the event, or None for one of a type that says nothing to us."""
    event_type = EVENT_TYPES.get(_text(content["type"]))
    if event_type is None:
        return None
    data = content["data"]
    is_captured = event_type not in {"declined", "expired"}
    is_refund = event_type in {"refunded", "refund_failed"}
    return ProviderEvent(
        event_id=_text(content["id"]),
        type=event_type,
        session_id=_text(data["sessionId"]),
        payment_reference=_text(data["paymentId"]) if is_captured else None,
        reference=_text(data["reference"]),
        amount=_integer(data["amount"]),
        currency=_text(data["currency"]),
        refund_reference=_text(data["refundId"]) if is_refund else "",
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value


def _one_of(choices: tuple[Choice, ...], value: Any) -> Choice:
    return choices[choices.index(value)]
