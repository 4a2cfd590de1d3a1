"""Stripe's objects, as far as anything here or in Sluice looks at them."""

from __future__ import annotations

import secrets
import time
from typing import Any

import stripe

from tests.payments.stripe_fake.params import metadata, money

API_VERSION = stripe.api_version
SESSION_SECONDS = 24 * 3600  # Stripe's own, where a request names no time


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def session(params: dict[str, str]) -> dict[str, Any]:
    """Return an open checkout.session for the parameters of its request."""
    id = new_id("cs_test")
    item = "line_items[0]"
    currency = params[f"{item}[price_data][currency]"]
    unit = money(params, f"{item}[price_data][unit_amount]", currency)
    total = unit * int(params[f"{item}[quantity]"])
    now = int(time.time())
    return {
        "id": id,
        "object": "checkout.session",
        "amount_subtotal": total,
        "amount_total": total,
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "created": now,
        "currency": currency,
        "customer": None,
        "expires_at": now + SESSION_SECONDS,
        "livemode": False,
        "metadata": metadata(params),
        "mode": params["mode"],
        "payment_intent": None,  # until there is a payment
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "status": "open",
        "success_url": params["success_url"],
        "url": f"https://checkout.stripe.com/c/pay/{id}",
    }


def payment_intent(session: dict[str, Any], metadata: dict[str, str]) -> dict[str, Any]:
    """Return the payment of a session, which has not been tried yet."""
    return {
        "id": new_id("pi"),
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_received": 0,
        "created": int(time.time()),
        "currency": session["currency"],
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": metadata,
        "status": "requires_payment_method",
    }


def charge(intent: dict[str, Any]) -> dict[str, Any]:
    """Return a captured charge; it has the metadata that its payment has now."""
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "captured": True,
        "created": int(time.time()),
        "currency": intent["currency"],
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "paid": True,
        "payment_intent": intent["id"],
        "refunded": False,
        "status": "succeeded",
    }


def refund(
    charge: dict[str, Any], amount: int, metadata: dict[str, str], status: str
) -> dict[str, Any]:
    """Return a refund of a charge."""
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "charge": charge["id"],
        "created": int(time.time()),
        "currency": charge["currency"],
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "reason": None,
        "receipt_number": None,
        "status": status,
    }


def event(type: str, object: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """Return an event about `object`; `before` has what an update has changed, as it was."""
    data = (
        {"object": object} if before is None else {"object": object, "previous_attributes": before}
    )
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type,
    }
