from __future__ import annotations

import pytest

from applications.money import decimals_of, format_money


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (5000, "USD", "50.00 USD"),
        (1, "EUR", "0.01 EUR"),
        (1_250_000, "VND", "1,250,000 VND"),
        (500, "JPY", "500 JPY"),
        (500, "ISK", "500 ISK"),
        (500, "UGX", "500 UGX"),
        (12_345, "KWD", "12.345 KWD"),
        (1_234_567_890, "IQD", "1,234,567.890 IQD"),
        (10_001, "CLF", "1.0001 CLF"),
        (9_007_199_254_740_993, "USD", "90,071,992,547,409.93 USD"),  # no float holds this
        (0, "USD", "0.00 USD"),
    ],
)
def test_format_money_writes_the_decimals_of_the_currency(
    amount: int, currency: str, text: str
) -> None:
    assert format_money(amount, currency) == text


@pytest.mark.parametrize(("currency", "decimals"), [("MGA", 2), ("HUF", 2), ("TWD", 2), ("MRU", 2)])
def test_decimals_of_currencies_that_only_seem_special_are_two(
    currency: str, decimals: int
) -> None:
    assert decimals_of(currency) == decimals
