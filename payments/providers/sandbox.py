"""The sandbox (`python -m payments.sandbox`) as a provider, seen from Sluice."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import httpx
from standardwebhooks import Webhook, WebhookVerificationError

from payments.providers import sandbox_answers as answers
from payments.providers.base import (
    Checkout,
    CheckoutReport,
    CheckoutRequest,
    InvalidWebhook,
    KeyReused,
    ProviderError,
    ProviderEvent,
    ProviderRejected,
    ProviderUnavailable,
    RefundReport,
    RefundRequest,
)

Answer = TypeVar("Answer")

TIMEOUT = httpx.Timeout(5, connect=2)


class SandboxProvider:
    """Talks to the sandbox at `base_url`, and believes a webhook signed with any of the secrets.

    Each secret is "whsec_" and base64; with none of them no webhook is believed.
    No call takes longer than connecting (2 s) and waiting (5 s).
    """

    name = "sandbox"

    def __init__(self, *, base_url: str, api_key: str, webhook_secrets: Sequence[str]) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._webhooks = [Webhook(secret) for secret in webhook_secrets]

    def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """See `PaymentProvider`."""
        body = {
            "reference": request.reference,
            "amount": request.amount,
            "currency": request.currency,
            "description": request.description,
            "successUrl": request.success_url,
            "cancelUrl": request.cancel_url,
            "webhookUrl": request.webhook_url,
        }
        key = request.idempotency_key
        return self._call("POST", "/v1/checkout-sessions", answers.checkout, body=body, key=key)

    def find_checkout(self, session_id: str) -> CheckoutReport:
        """See `PaymentProvider`."""
        return self._call("GET", f"/v1/checkout-sessions/{session_id}", answers.checkout_report)

    def expire_checkout(self, session_id: str) -> CheckoutReport:
        """See `PaymentProvider`."""
        return self._call(
            "POST", f"/v1/checkout-sessions/{session_id}/expire", answers.checkout_report
        )

    def refund(self, request: RefundRequest) -> RefundReport:
        """See `PaymentProvider`."""
        body = {
            "paymentId": request.payment_reference,
            "reference": request.reference,
            "amount": request.amount,
            "currency": request.currency,
        }
        key = request.idempotency_key
        return self._call("POST", "/v1/refunds", answers.refund_report, body=body, key=key)

    def find_refund(self, refund_reference: str) -> RefundReport:
        """See `PaymentProvider`."""
        return self._call("GET", f"/v1/refunds/{refund_reference}", answers.refund_report)

    def parse_webhook(self, *, headers: Mapping[str, str], body: bytes) -> ProviderEvent | None:
        """See `PaymentProvider`. A signature is good for 300 s before and after its time."""
        if not any(_is_signed(webhook, headers, body) for webhook in self._webhooks):
            raise InvalidWebhook("The signature is missing, wrong or too old.")
        try:
            return answers.event(json.loads(body))
        except (ValueError, LookupError, TypeError) as error:
            raise InvalidWebhook("The event can't be read.") from error

    def _call(
        self,
        method: str,
        path: str,
        read: Callable[[Any], Answer],
        *,
        body: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {self._api_key}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            # A client for each call: nothing is shared by threads or inherited by a fork.
            # Proxy variables are ignored, since the sandbox is often on this machine.
            with httpx.Client(
                base_url=self._base_url, timeout=TIMEOUT, trust_env=False, verify=_tls()
            ) as client:
                answer = client.request(method, path, headers=headers, json=body)
        except httpx.ConnectError as error:
            raise ProviderUnavailable("The sandbox refuses connections.") from error
        except httpx.HTTPError as error:
            raise ProviderError(f"The sandbox can't be reached: {type(error).__name__}.") from error
        _raise_for_status(answer)
        try:
            return read(answer.json())
        except (ValueError, LookupError, TypeError) as error:
            # Perhaps it acted all the same. Repeating finds that again, by the key or the id.
            raise ProviderError("The sandbox's answer can't be read.") from error


def _raise_for_status(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    problem = f"The sandbox answered {answer.status_code}: {answer.text[:200]}"
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise ProviderUnavailable(problem, retry_after_seconds=_retry_after(answer))
    if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        raise KeyReused(problem)
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


def _is_signed(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        webhook.verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):
        # ValueError: the library lets through what it meets in badly formed headers.
        return False
    return True
