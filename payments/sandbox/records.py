"""The things that the sandbox deals in, as they are read from its tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

SessionStatus = Literal["open", "paid", "expired"]
PaymentStatus = Literal["succeeded", "failed"]
RefundStatus = Literal["pending", "succeeded", "failed"]
EventType = Literal[
    "checkout.paid", "checkout.declined", "checkout.expired", "refund.succeeded", "refund.failed"
]


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A checked request for a checkout; `amount` is in minor units of `currency`."""

    reference: str
    amount: int
    currency: str
    description: str
    success_url: str
    cancel_url: str
    webhook_url: str
    expires_in_seconds: int


@dataclass(frozen=True, kw_only=True)
class Session:
    """A checkout session as it stands; times are seconds since 1970.

    `refunded` is what was paid back of it.
    """

    id: str
    reference: str
    amount: int
    currency: str
    description: str
    success_url: str
    cancel_url: str
    status: SessionStatus
    expires_at: float
    payment_id: str | None
    paid_at: float | None
    was_declined: bool
    refunded: int


@dataclass(frozen=True, kw_only=True)
class Payment:
    """What a card was asked for; money moved if `status` is "succeeded"."""

    id: str
    session_id: str
    reference: str
    amount: int
    currency: str
    status: PaymentStatus
    created_at: float
    refunded: int


@dataclass(frozen=True, kw_only=True)
class NewRefund:
    """A checked request to pay back `amount` minor units; without `currency`, the payment's."""

    payment_id: str
    reference: str
    amount: int
    currency: str | None


@dataclass(frozen=True, kw_only=True)
class Refund:
    """A refund as it stands. A pending one counts as paid back until it fails."""

    id: str
    payment_id: str
    session_id: str
    reference: str
    amount: int
    currency: str
    status: RefundStatus
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event that its receiver hasn't acknowledged; `attempts` counts the failed ones.

    One attempt sends it `copies` times.
    """

    id: str
    url: str
    body: bytes
    attempts: int
    created_at: float
    copies: int


def iso(at: float) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
