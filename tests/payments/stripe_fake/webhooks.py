"""Webhooks as Stripe signs and sends them."""

from __future__ import annotations

import hmac
import time
from typing import Any

import httpx

from tests.payments.stripe_fake.idempotency import encode


def signed(event: Any, *secrets: str, at: int | None = None) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a webhook; bytes in place of an event go as they are.

    `at` is when it was signed, in seconds since 1970, by default now. With several secrets there
    is a signature of each, as while a secret is rolled.
    """
    body = event if isinstance(event, bytes) else encode(event)
    at = int(time.time()) if at is None else at
    parts = [f"t={at}"] + [f"v1={_signature(secret, at, body)}" for secret in secrets]
    headers = {"Content-Type": "application/json", "Stripe-Signature": ",".join(parts)}
    return headers, body


def deliver(url: str, event: Any, *secrets: str, at: int | None = None) -> int:
    """Send a webhook; return the status of the answer."""
    headers, body = signed(event, *secrets, at=at)
    return httpx.post(url, headers=headers, content=body, trust_env=False).status_code


def _signature(secret: str, at: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, "sha256").hexdigest()
