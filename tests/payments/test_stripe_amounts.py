from __future__ import annotations

from collections.abc import Iterator

import pytest

from applications.money import DECIMALS
from payments.providers import ProviderRejected
from payments.providers.stripe_amounts import from_stripe, to_stripe
from tests.payments.stripe_fake import SECRET, StripeFake, running_stripe, webhooks
from tests.payments.stripe_orders import checkout_request, provider_at, refund_request


@pytest.fixture
def fake() -> Iterator[StripeFake]:
    with running_stripe() as fake:
        yield fake


@pytest.mark.parametrize(
    ("amount", "currency", "at_stripe"),
    [
        (5000, "USD", 5000),
        (1_250_000, "VND", 1_250_000),
        (500, "JPY", 500),
        (12_340, "KWD", 12_340),
        (500, "ISK", 50_000),
        (500, "UGX", 50_000),
        (50_000, "MGA", 500),
        (1_234_500, "HUF", 1_234_500),
        (9_007_199_254_740_993, "USD", 9_007_199_254_740_993),  # no float holds this
    ],
)
def test_amounts_are_counted_in_stripes_units_and_back(
    fake: StripeFake, amount: int, currency: str, at_stripe: int
) -> None:
    provider = provider_at(fake.url)

    id = provider.create_checkout(checkout_request(amount=amount, currency=currency)).session_id
    payment_id = fake.people.pay(id)
    provider.refund(refund_request(payment_id, amount=amount, currency=currency))

    (refund,) = fake.store.refunds.values()
    assert fake.store.sessions[id]["amount_total"] == at_stripe
    assert refund["amount"] == at_stripe
    found = provider.find_checkout(id)
    assert (found.amount, found.currency) == (amount, currency)
    for type in ("checkout.session.completed", "refund.created"):
        headers, body = webhooks.signed(fake.event(type), SECRET)
        event = provider.parse_webhook(headers=headers, body=body)
        assert event is not None
        assert (event.amount, event.currency) == (amount, currency)


@pytest.mark.parametrize(
    ("amount", "currency"), [(12_345, "KWD"), (1, "BHD"), (1_999, "TND"), (50_050, "MGA")]
)
def test_amount_that_stripe_cannot_charge_is_rejected_before_it_is_asked(
    fake: StripeFake, amount: int, currency: str
) -> None:
    provider = provider_at(fake.url)

    with pytest.raises(ProviderRejected, match=f"can't take {amount} {currency}"):
        provider.create_checkout(checkout_request(amount=amount, currency=currency))
    with pytest.raises(ProviderRejected, match=f"can't take {amount} {currency}"):
        provider.refund(refund_request("pi_1", amount=amount, currency=currency))

    assert fake.server.requests == []


@pytest.mark.parametrize("currency", ["ISK", "UGX"])
def test_amount_with_decimals_that_a_currency_has_not_is_refused(currency: str) -> None:
    with pytest.raises(ValueError, match="not a whole amount"):
        from_stripe(50_050, currency)


@pytest.mark.parametrize("currency", [*DECIMALS, "MGA", "USD", "EUR", "HUF", "TWD"])
def test_every_currency_comes_back_as_it_went(currency: str) -> None:
    assert from_stripe(to_stripe(12_300, currency), currency) == 12_300
