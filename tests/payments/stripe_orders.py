"""Sluice's Stripe provider, set up for the fake, and requests to it."""

from __future__ import annotations

from typing import Any

from payments.providers import CheckoutRequest, RefundRequest
from payments.providers.stripe import StripeProvider
from tests.payments.stripe_fake import API_KEY, SECRET

REFERENCE = "5f0c6a52-6d0a-4a5e-9a39-0d6f6b1d2f11"


def provider_at(url: str, *secrets: str, api_key: str = API_KEY) -> StripeProvider:
    """Return the provider; without `secrets` it believes the fake's usual one."""
    return StripeProvider(base_url=url, api_key=api_key, webhook_secrets=secrets or (SECRET,))


def checkout_request(**changes: Any) -> CheckoutRequest:
    fields: dict[str, Any] = {
        "idempotency_key": "checkout:1:1",
        "reference": REFERENCE,
        "amount": 5000,
        "currency": "USD",
        "description": "Application fee",
        "success_url": "https://sluice.example/paid",
        "cancel_url": "https://sluice.example/cancelled",
        "webhook_url": "https://sluice.example/hook",
    }
    return CheckoutRequest(**fields | changes)


def refund_request(payment_reference: str, **changes: Any) -> RefundRequest:
    fields: dict[str, Any] = {
        "idempotency_key": "refund:1",
        "payment_reference": payment_reference,
        "reference": REFERENCE,
        "amount": 5000,
        "currency": "USD",
    }
    return RefundRequest(**fields | changes)
