"""Turns the body of a request for a checkout into a `NewSession`, or says what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from payments.sandbox.records import NewSession

# Visible ASCII only: these go into a Location header and, as an origin, into the page's policy.
URL = re.compile(
    r"(?P<origin>https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)"
    r"(?:[/?#][\x21-\x7e]*)?"
)
CURRENCY = re.compile(r"[A-Z]{3}")
FIELDS = {
    *("reference", "amount", "currency", "description"),
    *("successUrl", "cancelUrl", "webhookUrl", "expiresInSeconds"),
}
DAY = 24 * 3600


class Invalid(Exception):
    """The request can't be used; the message says why and names the field."""


def parse_new_session(body: bytes) -> NewSession:
    """Return what the JSON `body` asks for; raise `Invalid`."""
    try:
        fields = json.loads(body)
        json.dumps(fields, ensure_ascii=False).encode()  # half a surrogate pair stops here
    except (ValueError, RecursionError):
        raise Invalid("The body must be JSON in UTF-8.") from None
    if not isinstance(fields, dict):
        raise Invalid("The body must be a JSON object.")
    if unknown := sorted(fields.keys() - FIELDS):
        raise Invalid(f"Unknown field: {unknown[0]}.")
    return NewSession(
        reference=_text(fields, "reference", at_most=255),
        amount=_integer(fields, "amount", at_most=10**12),
        currency=_matching(fields, "currency", CURRENCY),
        description=_text(fields, "description", at_most=500),
        success_url=_matching(fields, "successUrl", URL),
        cancel_url=_matching(fields, "cancelUrl", URL),
        webhook_url=_matching(fields, "webhookUrl", URL),
        expires_in_seconds=_integer(
            {"expiresInSeconds": DAY} | fields, "expiresInSeconds", at_most=30 * DAY
        ),
    )


def fingerprint(new: NewSession) -> str:
    """Return what is equal for equal requests, whatever the order of their fields."""
    return hashlib.sha256(json.dumps(asdict(new), sort_keys=True).encode()).hexdigest()


def origin(url: str) -> str:
    """Return scheme, host and port of a URL that was let in here."""
    match = URL.fullmatch(url)
    if match is None:
        raise ValueError(url)
    return match["origin"]


def _text(fields: Mapping[str, Any], name: str, *, at_most: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= len(value) <= at_most:
        raise Invalid(f"{name} must be a text of 1 to {at_most} characters.")
    return value


def _integer(fields: Mapping[str, Any], name: str, *, at_most: int) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 < value <= at_most:
        raise Invalid(f"{name} must be a whole number from 1 to {at_most}.")
    return value


def _matching(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or len(value) > 2000 or not pattern.fullmatch(value):
        what = "an ISO 4217 code in upper case" if pattern is CURRENCY else "an http or https URL"
        raise Invalid(f"{name} must be {what}.")
    return value
