"""System checks of the payment settings: what is wrong with them stops the start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from payments import providers

# What each provider can't do without.
NEEDED = {
    "sandbox": (),
    "stripe": ("STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRETS"),
}


def provider_is_set_up(**kwargs: Any) -> list[CheckMessage]:
    """E001: nobody knows the provider. E002: one of its settings is missing. E003: one is wrong.

    W001: at an address for the public, places would be given away.
    """
    provider = settings.PAYMENT_PROVIDER
    if provider not in NEEDED:
        known = ", ".join(NEEDED)
        return [Error(f"PAYMENT_PROVIDER is {provider!r}, not {known}.", id="payments.E001")]
    messages: list[CheckMessage] = [
        Error(f"PAYMENT_PROVIDER is {provider}: set {name}.", id="payments.E002")
        for name in NEEDED[provider]
        if not getattr(settings, name)
    ]
    try:
        providers.get_provider()
    except ValueError as error:
        messages.append(Error(f"The settings of {provider} are wrong: {error}", id="payments.E003"))
    if provider == "sandbox" and settings.SECURE:
        text = "PAYMENT_PROVIDER is sandbox: no money moves, and whoever says so has paid."
        messages.append(Warning(text, id="payments.W001"))
    return messages
