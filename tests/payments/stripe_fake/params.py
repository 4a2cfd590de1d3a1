"""The parameters of requests: `a[b][0][c]=1` and what may be in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from tests.payments.stripe_fake.errors import ApiError, missing, unknown

# A parameter's name with `[n]` for the place in a list, and whether it has to be there.
Allowed = Mapping[str, bool]
CREATE_SESSION: Allowed = {
    "mode": True,
    "success_url": True,
    "cancel_url": False,
    "client_reference_id": False,
    "line_items[n][quantity]": True,
    "line_items[n][price_data][currency]": True,
    "line_items[n][price_data][unit_amount]": True,
    "line_items[n][price_data][product_data][name]": True,
    "metadata[reference]": False,
    "payment_intent_data[metadata][reference]": False,
}
LOOK_AT_SESSION: Allowed = {"expand[n]": False}
CREATE_REFUND: Allowed = {"payment_intent": True, "amount": False, "metadata[reference]": False}
LOOK_AT_REFUND: Allowed = {}

# Stripe's units: https://docs.stripe.com/currencies
WHOLE_HUNDREDS = {"isk", "ugx"}
LAST_DIGIT_ZERO = {"bhd", "jod", "kwd", "omr", "tnd"}
MAX_REFERENCE_LENGTH = 200
MAX_METADATA_LENGTH = 500


def read(encoded: str, allowed: Allowed) -> dict[str, str]:
    """Return the parameters by their full names; raise ApiError for one too many or too few."""
    params = dict(parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded)))
    names = {re.sub(r"\[\d+\]", "[n]", name): name for name in params}
    for plain, name in names.items():
        if plain not in allowed:
            raise unknown(name)
    for plain, required in allowed.items():
        if required and not params.get(names.get(plain, "")):
            raise missing(plain.replace("[n]", "[0]"))
    return params


def money(params: Mapping[str, str], amount_name: str, currency: str) -> int:
    """Return an amount that can be charged in `currency`; raise ApiError for any other."""
    text = params[amount_name]
    if not text.isdecimal() or int(text) == 0:
        raise ApiError(
            400,
            f"Invalid positive integer: {text}",
            code="parameter_invalid_integer",
            param=amount_name,
        )
    amount = int(text)
    if (currency in WHOLE_HUNDREDS and amount % 100) or (
        currency in LAST_DIGIT_ZERO and amount % 10
    ):
        raise ApiError(400, f"Invalid amount in {currency}: {text}", param=amount_name)
    return amount


def check_session(params: Mapping[str, str]) -> None:
    """Raise ApiError for what Stripe would not make a session of."""
    if params["mode"] != "payment":
        raise ApiError(400, f"Not in this fake: mode {params['mode']}", param="mode")
    currency = params["line_items[0][price_data][currency]"]
    if not re.fullmatch("[a-z]{3}", currency):
        raise ApiError(400, f"Invalid currency: {currency}", param="currency")
    if len(params.get("client_reference_id", "")) > MAX_REFERENCE_LENGTH:
        raise ApiError(400, "Too long", param="client_reference_id")
    if len(params.get("metadata[reference]", "")) > MAX_METADATA_LENGTH:
        raise ApiError(400, "Too long", param="metadata[reference]")
    for name in ("success_url", "cancel_url"):
        if not re.match("https?://", params.get(name, "http://")):
            raise ApiError(400, "Not a valid URL", code="url_invalid", param=name)


def metadata(params: Mapping[str, str], prefix: str = "metadata") -> dict[str, str]:
    """Return the metadata that came with a request."""
    name = f"{prefix}[reference]"
    return {"reference": params[name]} if name in params else {}
