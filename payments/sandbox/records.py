"""The things that the sandbox deals in, as they are read from its tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

SessionStatus = Literal["open", "paid", "expired"]
PaymentStatus = Literal["succeeded", "failed"]
EventType = Literal["checkout.paid", "checkout.declined", "checkout.expired"]


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
    """A checkout session as it stands; times are seconds since 1970."""

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


@dataclass(frozen=True, kw_only=True)
class Payment:
    id: str
    session_id: str
    reference: str
    amount: int
    currency: str
    status: PaymentStatus
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event that its receiver hasn't acknowledged; `attempts` counts the failed ones."""

    id: str
    url: str
    body: bytes
    attempts: int
    created_at: float


def iso(at: float) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
