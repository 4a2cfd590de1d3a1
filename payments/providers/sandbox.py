"""The sandbox (`python -m payments.sandbox`) as a provider, seen from Sluice."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import httpx
from standardwebhooks import Webhook, WebhookVerificationError

from payments.providers.base import (
    Checkout,
    CheckoutRequest,
    EventType,
    InvalidWebhook,
    ProviderError,
    ProviderEvent,
    ProviderRejected,
    ProviderUnavailable,
)

TIMEOUT = httpx.Timeout(5, connect=2)
EVENT_TYPES: dict[str, EventType] = {
    "checkout.paid": "paid",
    "checkout.declined": "declined",
    "checkout.expired": "expired",
}


class SandboxProvider:
    """Talks to the sandbox at `base_url`; `webhook_secret` is "whsec_" and base64."""

    name = "sandbox"

    def __init__(self, *, base_url: str, api_key: str, webhook_secret: str) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._webhook = Webhook(webhook_secret)

    def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """See `PaymentProvider`. Takes no longer than connecting (2 s) and waiting (5 s)."""
        answer = self._post(
            "/v1/checkout-sessions",
            idempotency_key=request.idempotency_key,
            body={
                "reference": request.reference,
                "amount": request.amount,
                "currency": request.currency,
                "description": request.description,
                "successUrl": request.success_url,
                "cancelUrl": request.cancel_url,
                "webhookUrl": request.webhook_url,
            },
        )
        try:
            content = answer.json()
            return Checkout(
                session_id=content["id"],
                url=content["url"],
                expires_at=datetime.fromisoformat(content["expiresAt"]),
            )
        except (ValueError, LookupError, TypeError) as error:
            # Perhaps the session was made. Repeating finds it again by its key.
            raise ProviderError("The sandbox's answer can't be read.") from error

    def parse_webhook(self, *, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """See `PaymentProvider`. A signature is good for 5 minutes."""
        try:
            # ValueError: the library lets through what it meets in badly formed headers.
            self._webhook.verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError) as error:
            raise InvalidWebhook("The signature is missing, wrong or too old.") from error
        try:
            return _parse_event(json.loads(body))
        except (ValueError, LookupError, TypeError) as error:
            raise InvalidWebhook("The event can't be read.") from error

    def _post(self, path: str, *, idempotency_key: str, body: dict[str, Any]) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {self._api_key}",
            "Idempotency-Key": idempotency_key,
        }
        try:
            # A client for each call: nothing is shared by threads or inherited by a fork.
            # Proxy variables are ignored, since the sandbox is often on this machine.
            with httpx.Client(
                base_url=self._base_url, timeout=TIMEOUT, trust_env=False, verify=_tls()
            ) as client:
                answer = client.post(path, headers=headers, json=body)
        except httpx.ConnectError as error:
            raise ProviderUnavailable("The sandbox refuses connections.") from error
        except httpx.HTTPError as error:
            raise ProviderError(f"The sandbox can't be reached: {type(error).__name__}.") from error
        if answer.is_success:
            return answer
        problem = f"The sandbox answered {answer.status_code}: {answer.text[:200]}"
        if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise ProviderUnavailable(problem, retry_after_seconds=_retry_after(answer))
        if answer.is_client_error:
            raise ProviderRejected(problem)
        raise ProviderError(problem)


def _retry_after(answer: httpx.Response) -> float:
    """Return the seconds of Retry-After; 0 without one, or for a date, which no provider sends."""
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0.0


@cache
def _tls() -> ssl.SSLContext:
    """Return the certificates to trust; reading them takes longer than a call."""
    return ssl.create_default_context()


def _parse_event(content: Any) -> ProviderEvent:
    """Return the event; raise ValueError, LookupError or TypeError if something is amiss in it."""
    data = content["data"]
    event_type = EVENT_TYPES[content["type"]]
    is_paid = event_type == "paid"
    payment_id = data["paymentId"]
    return ProviderEvent(
        event_id=_text(content["id"]),
        type=event_type,
        session_id=_text(data["sessionId"]),
        payment_reference=_text(payment_id) if is_paid or payment_id is not None else None,
        reference=_text(data["reference"]),
        amount=_integer(data["amount"]),
        currency=_text(data["currency"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value
