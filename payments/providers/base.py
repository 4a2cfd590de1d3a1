"""What Sluice needs from a payment provider, whoever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

EventType = Literal["paid", "declined", "expired", "refunded", "refund_failed"]
CheckoutStatus = Literal["open", "paid", "expired"]
RefundStatus = Literal["pending", "succeeded", "failed"]


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


class KeyReused(ProviderRejected):
    """The idempotency key was used before, for a request with other content."""


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
class CheckoutReport:
    """A checkout as the provider has it now.

    "open" also stands for one that is finished and whose money is still on its way: an event tells
    how that ends. `payment_reference` is the provider's id of the captured payment, None while there is none.
    """

    session_id: str
    status: CheckoutStatus
    payment_reference: str | None
    reference: str
    amount: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class RefundRequest:
    """What is to be paid back of the captured payment `payment_reference`; `amount` is in minor
    units. Requests with one `idempotency_key` must be equal, and get one refund.

    `reference` comes back in every event, as in `CheckoutRequest`.
    """

    idempotency_key: str
    payment_reference: str
    reference: str
    amount: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class RefundReport:
    """A refund as the provider has it now; a pending one is settled by an event later."""

    refund_reference: str
    status: RefundStatus


@dataclass(frozen=True, kw_only=True)
class ProviderEvent:
    """What happened to a checkout or a refund. Comes at least once, in any order: `event_id` tells
    repeats.

    `payment_reference` is the provider's id of the captured payment, always there unless `type` is
    "declined" or "expired". `session_id` is empty where the provider does not say it.
    `reference`, `amount` and `currency` are to be compared with what was asked for; of a refund,
    `amount` is what this refund pays back and `refund_reference` the provider's id of it. A refund
    that was made by hand has no `reference`.
    """

    event_id: str
    type: EventType
    session_id: str
    payment_reference: str | None
    reference: str
    amount: int
    currency: str
    refund_reference: str = ""


class PaymentProvider(Protocol):
    """A provider. Its calls go over the network: never make them inside a transaction.

    Each call raises `ProviderRejected` if repeating can't help, `ProviderUnavailable` if nobody is
    served just now, and `ProviderError` if repeating may help otherwise.
    """

    name: str

    def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """Make a checkout, or return the one of this idempotency key, however it is by now.

        It may have ended: `expires_at` says when it ends by itself.
        """

    def find_checkout(self, session_id: str) -> CheckoutReport:
        """Return the checkout as it is now."""

    def expire_checkout(self, session_id: str) -> CheckoutReport:
        """End an open checkout, so that nobody can pay there any more, and return it as it is then.

        One that has ended already, paid or not, is returned as it is.
        """

    def refund(self, request: RefundRequest) -> RefundReport:
        """Pay money back, once for this idempotency key; never more than was captured.

        A provider may forget a key after a day: ask with `find_refund` once the refund is known.
        """

    def find_refund(self, refund_reference: str) -> RefundReport:
        """Return the refund as it is now."""

    def parse_webhook(self, *, headers: Mapping[str, str], body: bytes) -> ProviderEvent | None:
        """Return the event of a webhook once it is proved to be from the provider.

        `body` is the bytes as received. None stands for a genuine event that says nothing to us.
        Raise `InvalidWebhook` for anything not to be believed.
        """
