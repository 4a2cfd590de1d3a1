"""What Sluice needs from a payment provider, whoever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

EventType = Literal["paid", "declined", "expired"]


class ProviderError(Exception):
    """The provider couldn't be reached or couldn't answer. The same call may be repeated."""


class ProviderUnavailable(ProviderError):
    """The provider refuses to serve anybody just now: no connection, 429 or 5xx. Not if it is slow.

    `retry_after_seconds` is what it asked for, 0 if it did not.
    """

    def __init__(self, message: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ProviderRejected(ProviderError):
    """The provider refuses this request and will refuse it again."""


class InvalidWebhook(Exception):
    """A webhook isn't the provider's, is too old, or makes no sense: believe nothing in it."""


@dataclass(frozen=True, kw_only=True)
class CheckoutRequest:
    """What is to be paid. `amount` is in minor units; `reference` comes back in every event.

    Requests with one `idempotency_key` must be equal, and get one checkout.
    """

    idempotency_key: str
    reference: str
    amount: int
    currency: str
    description: str
    success_url: str
    cancel_url: str
    webhook_url: str


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A hosted page where the student pays, until `expires_at` (UTC)."""

    session_id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class ProviderEvent:
    """What happened to a checkout. Comes at least once, in any order: `event_id` tells repeats.

    `payment_reference` is the provider's id of the payment, always there when `type` is "paid".
    `reference`, `amount` and `currency` are to be compared with what was asked for.
    """

    event_id: str
    type: EventType
    session_id: str
    payment_reference: str | None
    reference: str
    amount: int
    currency: str


class PaymentProvider(Protocol):
    """A provider. Its calls go over the network: never make them inside a transaction."""

    name: str

    def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """Make a checkout, or return the one of this idempotency key, however it is by now.

        Raise `ProviderRejected` if repeating can't help, `ProviderUnavailable` if nobody is served
        just now, `ProviderError` if repeating may help otherwise.
        """

    def parse_webhook(self, *, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Return the event of a webhook once it is proved to be from the provider.

        `body` is the bytes as received. Raise `InvalidWebhook` for anything not to be believed.
        """
