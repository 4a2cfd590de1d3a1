"""Amounts of money: how many decimals a currency has, and how people read an amount."""

from __future__ import annotations

from decimal import Decimal

USUAL_DECIMALS = 2
# The decimals of the ISO 4217 currencies whose minor unit is not a hundredth.
DECIMALS = {
    "BIF": 0,
    "CLP": 0,
    "DJF": 0,
    "GNF": 0,
    "ISK": 0,
    "JPY": 0,
    "KMF": 0,
    "KRW": 0,
    "PYG": 0,
    "RWF": 0,
    "UGX": 0,
    "UYI": 0,
    "VND": 0,
    "VUV": 0,
    "XAF": 0,
    "XOF": 0,
    "XPF": 0,
    "BHD": 3,
    "IQD": 3,
    "JOD": 3,
    "KWD": 3,
    "LYD": 3,
    "OMR": 3,
    "TND": 3,
    "CLF": 4,
    "UYW": 4,
}


def decimals_of(currency: str) -> int:
    """Return how many decimals an amount of the ISO 4217 code `currency`, in capitals, has."""
    return DECIMALS.get(currency, USUAL_DECIMALS)


def format_money(amount: int, currency: str) -> str:
    """Return an amount of minor units with its currency: (5000, "USD") is "50.00 USD"."""
    decimals = decimals_of(currency)
    return f"{Decimal(amount).scaleb(-decimals):,.{decimals}f} {currency}"
