"""Payment providers behind one seam; `PAYMENT_PROVIDER` chooses which one is used."""

from __future__ import annotations

from django.conf import settings

from payments.providers.base import (
    Checkout,
    CheckoutRequest,
    EventType,
    InvalidWebhook,
    PaymentProvider,
    ProviderError,
    ProviderEvent,
    ProviderRejected,
    ProviderUnavailable,
)
from payments.providers.sandbox import SandboxProvider

__all__ = [
    "Checkout",
    "CheckoutRequest",
    "EventType",
    "InvalidWebhook",
    "PaymentProvider",
    "ProviderError",
    "ProviderEvent",
    "ProviderRejected",
    "ProviderUnavailable",
    "SandboxProvider",
    "UnknownProvider",
    "get_provider",
]


class UnknownProvider(LookupError):
    """There is no payment provider of this name."""


def get_provider(name: str | None = None) -> PaymentProvider:
    """Return the provider called `name`, by default the one in the settings.

    Raise `UnknownProvider` for any other name; it may come from the address of a webhook.
    """
    name = name or getattr(settings, "PAYMENT_PROVIDER", "sandbox")
    if name != SandboxProvider.name:
        raise UnknownProvider(name)
    return SandboxProvider(
        base_url=settings.SANDBOX_URL,
        api_key=settings.SANDBOX_API_KEY,
        webhook_secret=settings.SANDBOX_WEBHOOK_SECRET,
    )
