"""The sandbox as a provider, and requests to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from payments.providers import (
    Checkout,
    CheckoutRequest,
    RefundRequest,
    SandboxProvider,
)
from tests.payments.sandbox_service import (
    API_KEY,
    SECRET,
    Sandbox,
    post,
)


def provider_at(
    url: str, api_key: str = API_KEY, secrets: Sequence[str] = (SECRET,)
) -> SandboxProvider:
    return SandboxProvider(base_url=url, api_key=api_key, webhook_secrets=secrets)


def checkout_request(**changes: Any) -> CheckoutRequest:
    fields: dict[str, Any] = {
        "idempotency_key": "checkout:1:1",
        "reference": "application-1",
        "amount": 7550,
        "currency": "EUR",
        "description": "Application fee",
        "success_url": "http://shop.example/paid",
        "cancel_url": "http://shop.example/cancelled",
        "webhook_url": "http://127.0.0.1:9/hook",
    }
    return CheckoutRequest(**fields | changes)


def refund_request(payment_reference: str, **changes: Any) -> RefundRequest:
    fields: dict[str, Any] = {
        "idempotency_key": "refund:1",
        "payment_reference": payment_reference,
        "reference": "refund-1",
        "amount": 7550,
        "currency": "EUR",
    }
    return RefundRequest(**fields | changes)


def paid_checkout(service: Sandbox, key: str, **changes: Any) -> tuple[Checkout, str]:
    """Return a checkout that was paid, and the provider's id of the payment."""
    request = checkout_request(idempotency_key=key, reference=key, **changes)
    checkout = provider_at(service.url).create_checkout(request)
    post(f"{checkout.url}/pay")
    return checkout, service.payments(key)[0]["id"]
