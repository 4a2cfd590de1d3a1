"""Stripe as a provider: hosted checkout, signed webhooks, refunds. See docs/stripe.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import stripe

from payments.providers import stripe_objects
from payments.providers.base import (
    Checkout,
    CheckoutReport,
    CheckoutRequest,
    InvalidWebhook,
    ProviderError,
    ProviderEvent,
    ProviderRejected,
    RefundReport,
    RefundRequest,
)
from payments.providers.stripe_amounts import to_stripe
from payments.providers.stripe_client import calling

Answer = TypeVar("Answer")

# A webhook that was signed longer ago than this may be an old one that somebody sends again.
SIGNATURE_TOLERANCE_SECONDS = 300


class StripeProvider:
    """Talks to Stripe at `base_url`, and believes a webhook signed with any of the secrets.

    Each secret is "whsec_…" of a webhook endpoint at Stripe; with none no webhook is believed.
    No call takes longer than `stripe_client.CALL_SECONDS` seconds.
    """

    name = "stripe"

    def __init__(self, *, base_url: str, api_key: str, webhook_secrets: Sequence[str]) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._webhook_secrets = webhook_secrets

    def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """See `PaymentProvider`. The webhook's address is not sent: Stripe's own settings have it.

        Of a session that has ended, `expires_at` is still when it would have ended by itself.
        """
        amount = _amount(request.amount, request.currency)
        metadata = {"reference": request.reference}
        with calling(base_url=self._base_url, api_key=self._api_key) as client:
            # No `expires_at`: a time of ours would differ in every attempt, which Stripe refuses
            # for one key. A session ends by itself after 24 h; its key is kept at least as long.
            session = client.v1.checkout.sessions.create(
                {
                    "mode": "payment",
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "unit_amount": amount,
                                "currency": request.currency.lower(),
                                "product_data": {"name": request.description},
                            },
                        }
                    ],
                    "client_reference_id": request.reference,
                    "metadata": metadata,
                    # A declined card is told of by the payment, which has no other reference.
                    "payment_intent_data": {"metadata": metadata},
                    "success_url": request.success_url,
                    "cancel_url": request.cancel_url,
                },
                {"idempotency_key": request.idempotency_key},
            )
        return _read(stripe_objects.checkout, session)

    def find_checkout(self, session_id: str) -> CheckoutReport:
        """See `PaymentProvider`. "open" is also a finished checkout whose money is on its way."""
        with calling(base_url=self._base_url, api_key=self._api_key) as client:
            session = client.v1.checkout.sessions.retrieve(
                session_id, {"expand": ["payment_intent"]}
            )
        return _read(stripe_objects.checkout_report, session)

    def expire_checkout(self, session_id: str) -> CheckoutReport:
        """See `PaymentProvider`. "open" is a finished checkout whose money is on its way."""
        with calling(base_url=self._base_url, api_key=self._api_key) as client:
            sessions = client.v1.checkout.sessions
            try:
                session = sessions.expire(session_id, {"expand": ["payment_intent"]})
            except stripe.InvalidRequestError:
                session = sessions.retrieve(session_id, {"expand": ["payment_intent"]})
                if session.status == "open":
                    raise
        return _read(stripe_objects.checkout_report, session)

    def refund(self, request: RefundRequest) -> RefundReport:
        """See `PaymentProvider`. Stripe refuses to pay back more than was captured."""
        amount = _amount(request.amount, request.currency)
        with calling(base_url=self._base_url, api_key=self._api_key) as client:
            refund = client.v1.refunds.create(
                {
                    "payment_intent": request.payment_reference,
                    "amount": amount,
                    "metadata": {"reference": request.reference},
                },
                {"idempotency_key": request.idempotency_key},
            )
            if _is_replayed(refund):  # as it was then, not as it is now
                refund = client.v1.refunds.retrieve(refund.id)
        return _read(stripe_objects.refund_report, refund)

    def find_refund(self, refund_reference: str) -> RefundReport:
        """See `PaymentProvider`."""
        with calling(base_url=self._base_url, api_key=self._api_key) as client:
            refund = client.v1.refunds.retrieve(refund_reference)
        return _read(stripe_objects.refund_report, refund)

    def parse_webhook(self, *, headers: Mapping[str, str], body: bytes) -> ProviderEvent | None:
        """See `PaymentProvider`. A signature is good for `SIGNATURE_TOLERANCE_SECONDS`."""
        signature = headers.get("Stripe-Signature")
        if not any(_is_signed(body, signature, secret) for secret in self._webhook_secrets):
            raise InvalidWebhook("The signature is missing, wrong or too old.")
        try:
            return stripe_objects.event(json.loads(body))
        except (ValueError, LookupError, TypeError) as error:
            raise InvalidWebhook("The event can't be read.") from error


def _amount(amount: int, currency: str) -> int:
    try:
        return to_stripe(amount, currency)
    except ValueError as error:
        raise ProviderRejected(f"Stripe can't take {amount} {currency}: {error}.") from error


def _read(read: Callable[[Any], Answer], answer: stripe.StripeObject) -> Answer:
    try:
        return read(answer.to_dict())
    except (AttributeError, ValueError, LookupError, TypeError) as error:
        # Stripe acted all the same. Repeating finds that again, by the key or the id.
        raise ProviderError("Stripe's answer can't be read.") from error


def _is_replayed(answer: stripe.StripeObject) -> bool:
    response = answer.last_response
    return response is not None and response.headers.get("Idempotent-Replayed") == "true"


def _is_signed(body: bytes, signature: str | None, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, SIGNATURE_TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        # The library lets through what it meets in a body or a header that is no text.
        return False
    return True
