"""Amounts for people. Minor units are whole numbers, so nothing is ever rounded."""

from __future__ import annotations

# ISO 4217 gives most currencies two decimals; these have others.
DECIMALS = dict.fromkeys(
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND"]
    + ["VUV", "XAF", "XOF", "XPF"],
    0,
) | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)


def format_amount(amount: int, currency: str) -> str:
    """Return `amount` minor units as text, e.g. "EUR 1,234.50" or "VND 500,000"."""
    decimals = DECIMALS.get(currency, 2)
    whole, part = divmod(amount, 10**decimals)
    fraction = f".{part:0{decimals}d}" if decimals else ""
    return f"{currency} {whole:,}{fraction}"
