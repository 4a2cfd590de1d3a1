"""Turns the bodies of requests into records, or says what is wrong with them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from payments.sandbox import behaviour
from payments.sandbox.behaviour import Behaviour
from payments.sandbox.records import NewRefund, NewSession, RefundStatus

# Visible ASCII only: these go into a Location header and, as an origin, into the page's policy.
URL = re.compile(
    r"(?P<origin>https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)"
    r"(?:[/?#][\x21-\x7e]*)?"
)
CURRENCY = re.compile(r"[A-Z]{3}")
SESSION_FIELDS = {
    *("reference", "amount", "currency", "description"),
    *("successUrl", "cancelUrl", "webhookUrl", "expiresInSeconds"),
}
REFUND_FIELDS = {"paymentId", "reference", "amount", "currency"}
BEHAVIOUR_FIELDS = {
    "answerDelaySeconds": "answer_delay_seconds",
    "failRequests": "fail_requests",
    "timeOutAfterActing": "time_out_after_acting",
    "webhookDelaySeconds": "webhook_delay_seconds",
    "webhookCopies": "webhook_copies",
    "reverseWebhooks": "reverse_webhooks",
    "dropWebhooks": "drop_webhooks",
    "refundOutcome": "refund_outcome",
}
REFUND_OUTCOMES: tuple[RefundStatus, ...] = ("succeeded", "pending", "failed")
LONGEST_TEXT = 255
LONGEST_DESCRIPTION = 500
LONGEST_URL = 2000
LARGEST_AMOUNT = 10**12
DAY = 24 * 3600


class Invalid(Exception):
    """The request can't be used; the message says why and names the field."""


def parse_new_session(body: bytes) -> NewSession:
    """Return what the JSON `body` asks for; raise `Invalid`."""
    fields = _object(body, SESSION_FIELDS)
    return NewSession(
        reference=_text(fields, "reference", at_most=LONGEST_TEXT),
        amount=_integer(fields, "amount", at_most=LARGEST_AMOUNT),
        currency=_matching(fields, "currency", CURRENCY),
        description=_text(fields, "description", at_most=LONGEST_DESCRIPTION),
        success_url=_matching(fields, "successUrl", URL),
        cancel_url=_matching(fields, "cancelUrl", URL),
        webhook_url=_matching(fields, "webhookUrl", URL),
        expires_in_seconds=_integer(
            {"expiresInSeconds": DAY} | fields, "expiresInSeconds", at_most=30 * DAY
        ),
    )


def parse_new_refund(body: bytes) -> NewRefund:
    """Return what the JSON `body` asks for; `currency` may be left out. Raise `Invalid`."""
    fields = _object(body, REFUND_FIELDS)
    return NewRefund(
        payment_id=_text(fields, "paymentId", at_most=LONGEST_TEXT),
        reference=_text(fields, "reference", at_most=LONGEST_TEXT),
        amount=_integer(fields, "amount", at_most=LARGEST_AMOUNT),
        currency=_matching(fields, "currency", CURRENCY) if "currency" in fields else None,
    )


def parse_behaviour(body: bytes) -> Behaviour:
    """Return what the JSON `body` wants; what it leaves out is as by default. Raise `Invalid`."""
    defaults = asdict(Behaviour())
    fields = {name: defaults[field] for name, field in BEHAVIOUR_FIELDS.items()} | _object(
        body, set(BEHAVIOUR_FIELDS)
    )
    return Behaviour(
        answer_delay_seconds=_seconds(
            fields, "answerDelaySeconds", at_most=behaviour.LONGEST_ANSWER_DELAY
        ),
        fail_requests=_count(fields, "failRequests", at_most=behaviour.MOST_REQUESTS),
        time_out_after_acting=_count(fields, "timeOutAfterActing", at_most=behaviour.MOST_REQUESTS),
        webhook_delay_seconds=_seconds(
            fields, "webhookDelaySeconds", at_most=behaviour.LONGEST_WEBHOOK_DELAY
        ),
        webhook_copies=_integer(fields, "webhookCopies", at_most=behaviour.MOST_COPIES),
        reverse_webhooks=_count(fields, "reverseWebhooks", at_most=behaviour.MOST_REVERSED),
        drop_webhooks=_count(fields, "dropWebhooks", at_most=behaviour.MOST_WEBHOOKS),
        refund_outcome=_refund_outcome(fields["refundOutcome"]),
    )


def fingerprint(new: NewSession | NewRefund) -> str:
    """Return what is equal for equal requests, whatever the order of their fields."""
    return hashlib.sha256(json.dumps(asdict(new), sort_keys=True).encode()).hexdigest()


def origin(url: str) -> str:
    """Return scheme, host and port of a URL that was let in here."""
    match = URL.fullmatch(url)
    if match is None:
        raise ValueError(url)
    return match["origin"]


def _object(body: bytes, known: set[str]) -> dict[str, Any]:
    try:
        fields = json.loads(body)
        json.dumps(fields, ensure_ascii=False).encode()  # half a surrogate pair stops here
    except (ValueError, RecursionError):
        raise Invalid("The body must be JSON in UTF-8.") from None
    if not isinstance(fields, dict):
        raise Invalid("The body must be a JSON object.")
    if unknown := sorted(fields.keys() - known):
        raise Invalid(f"Unknown field: {unknown[0]}.")
    return fields


def _text(fields: Mapping[str, Any], name: str, *, at_most: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= len(value) <= at_most:
        raise Invalid(f"{name} must be a text of 1 to {at_most} characters.")
    return value


def _integer(fields: Mapping[str, Any], name: str, *, at_most: int, at_least: int = 1) -> int:
    value = fields.get(name)
    if type(value) is not int or not at_least <= value <= at_most:
        raise Invalid(f"{name} must be a whole number from {at_least} to {at_most}.")
    return value


def _count(fields: Mapping[str, Any], name: str, *, at_most: int) -> int:
    return _integer(fields, name, at_most=at_most, at_least=0)


def _seconds(fields: Mapping[str, Any], name: str, *, at_most: float) -> float:
    value = fields.get(name)
    # JSON as Python reads it knows NaN and Infinity, which no comparison lets through.
    if isinstance(value, int | float) and type(value) is not bool and 0 <= value <= at_most:
        return float(value)
    raise Invalid(f"{name} must be a number of seconds from 0 to {at_most:g}.")


def _refund_outcome(value: Any) -> RefundStatus:
    if value not in REFUND_OUTCOMES:
        raise Invalid(f"refundOutcome must be one of {', '.join(REFUND_OUTCOMES)}.")
    return REFUND_OUTCOMES[REFUND_OUTCOMES.index(value)]


def _matching(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or len(value) > LONGEST_URL or not pattern.fullmatch(value):
        what = "an ISO 4217 code in upper case" if pattern is CURRENCY else "an http or https URL"
        raise Invalid(f"{name} must be {what}.")
    return value
