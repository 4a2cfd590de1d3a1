"""Payment providers behind one seam; `PAYMENT_PROVIDER` chooses which one is used."""

from __future__ import annotations

from django.conf import settings

from payments.providers.base import (
    Checkout,
    CheckoutReport,
    CheckoutRequest,
    EventType,
    InvalidWebhook,
    KeyReused,
    PaymentProvider,
    ProviderError,
    ProviderEvent,
    ProviderRejected,
    ProviderUnavailable,
    RefundReport,
    RefundRequest,
)
from payments.providers.sandbox import SandboxProvider
from payments.providers.stripe import StripeProvider

__all__ = [
    "Checkout",
    "CheckoutReport",
    "CheckoutRequest",
    "EventType",
    "InvalidWebhook",
    "KeyReused",
    "PaymentProvider",
    "ProviderError",
    "ProviderEvent",
    "ProviderRejected",
    "ProviderUnavailable",
    "RefundReport",
    "RefundRequest",
    "SandboxProvider",
    "StripeProvider",
    "UnknownProvider",
    "get_provider",
]


class UnknownProvider(LookupError):
    """There is no payment provider of this name."""


def get_provider(name: str | None = None) -> PaymentProvider:
    """Return the provider called `name`, by default the one in the settings.

    Raise `UnknownProvider` for any other name; it may come from the address of a webhook.
    """
    name = name or settings.PAYMENT_PROVIDER
    if name == SandboxProvider.name:
        return SandboxProvider(
            base_url=settings.SANDBOX_URL,
            api_key=settings.SANDBOX_API_KEY,
            webhook_secrets=settings.SANDBOX_WEBHOOK_SECRETS,
        )
    if name == StripeProvider.name:
        return StripeProvider(
            base_url=settings.STRIPE_URL,
            api_key=settings.STRIPE_API_KEY,
            webhook_secrets=settings.STRIPE_WEBHOOK_SECRETS,
        )
    raise UnknownProvider(name)
