"""Amounts at Stripe, which counts a few currencies in other units than ISO 4217 does.

See https://docs.stripe.com/currencies. HUF and TWD, which are listed there too, differ for payouts
only.
"""

from __future__ import annotations

from applications.money import decimals_of

# Stripe's decimals where they are not those of ISO 4217. ISK and UGX have no decimals any more,
# but Stripe still wants two, always "00".
DECIMALS = {"ISK": 2, "UGX": 2, "MGA": 0}
# The last of three decimals has to be 0, since not every bank takes it.
ROUNDED_DECIMALS = 3
ROUNDED_TO = 10


def to_stripe(amount: int, currency: str) -> int:
    """Return what Stripe calls an amount of minor units; `currency` is in capitals.

    Raise ValueError for an amount that Stripe can't charge.
    """
    result = _shifted(amount, _decimals_at_stripe(currency) - decimals_of(currency))
    if _decimals_at_stripe(currency) == ROUNDED_DECIMALS and result % ROUNDED_TO:
        raise ValueError(f"Stripe takes {currency} only with 0 as the last decimal")
    return result


def from_stripe(amount: int, currency: str) -> int:
    """Return in minor units what Stripe calls `amount`; `currency` is in capitals.

    Raise ValueError for an amount that has no whole number of minor units.
    """
    return _shifted(amount, decimals_of(currency) - _decimals_at_stripe(currency))


def _decimals_at_stripe(currency: str) -> int:
    return DECIMALS.get(currency, decimals_of(currency))


def _shifted(amount: int, places: int) -> int:
    factor: int = 10 ** abs(places)
    if places >= 0:
        return amount * factor
    whole, rest = divmod(amount, factor)
    if rest:
        raise ValueError("not a whole amount of this currency")
    return whole
