from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from payments.providers import (
    Checkout,
    CheckoutReport,
    ProviderError,
    ProviderRejected,
    RefundReport,
    stripe_client,
)
from payments.providers.base import CheckoutStatus
from payments.providers.stripe import StripeProvider
from tests.payments.stripe_fake import StripeFake, running_stripe
from tests.payments.stripe_orders import REFERENCE, checkout_request, provider_at, refund_request


@pytest.fixture
def fake() -> Iterator[StripeFake]:
    with running_stripe() as fake:
        yield fake


@pytest.fixture
def provider(fake: StripeFake) -> StripeProvider:
    return provider_at(fake.url)


def report(
    session_id: str, status: CheckoutStatus, payment_reference: str | None = None
) -> CheckoutReport:
    return CheckoutReport(
        session_id=session_id,
        status=status,
        payment_reference=payment_reference,
        reference=REFERENCE,
        amount=5000,
        currency="USD",
    )


def test_create_checkout_makes_an_open_session(fake: StripeFake, provider: StripeProvider) -> None:
    checkout = provider.create_checkout(checkout_request())

    session = fake.store.sessions[checkout.session_id]
    assert checkout == Checkout(
        session_id=session["id"],
        url=f"https://checkout.stripe.com/c/pay/{session['id']}",
        expires_at=datetime.fromtimestamp(session["expires_at"], UTC),
    )
    assert session["amount_total"] == 5000
    assert session["currency"] == "usd"
    assert session["client_reference_id"] == REFERENCE
    assert session["metadata"] == {"reference": REFERENCE}
    assert session["success_url"] == "https://sluice.example/paid"
    assert session["cancel_url"] == "https://sluice.example/cancelled"


def test_payment_of_a_checkout_carries_the_reference(
    fake: StripeFake, provider: StripeProvider
) -> None:
    checkout = provider.create_checkout(checkout_request())

    payment_id = fake.people.pay(checkout.session_id)

    assert fake.store.intents[payment_id]["metadata"] == {"reference": REFERENCE}


def test_same_key_twice_makes_one_session(fake: StripeFake, provider: StripeProvider) -> None:
    first = provider.create_checkout(checkout_request())
    second = provider.create_checkout(checkout_request())

    assert first == second
    assert list(fake.store.sessions) == [first.session_id]


def test_same_key_gives_its_session_also_when_that_has_ended(
    fake: StripeFake, provider: StripeProvider
) -> None:
    first = provider.create_checkout(checkout_request())
    fake.people.expire(first.session_id)

    assert provider.create_checkout(checkout_request()) == first


def test_same_key_with_another_amount_is_rejected(
    fake: StripeFake, provider: StripeProvider
) -> None:
    first = provider.create_checkout(checkout_request())

    with pytest.raises(ProviderRejected, match="same parameters"):
        provider.create_checkout(checkout_request(amount=5001))

    assert list(fake.store.sessions) == [first.session_id]


def test_repeating_after_an_answer_that_never_came_gives_the_session_that_was_made(
    fake: StripeFake, provider: StripeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_client, "READ_SECONDS", 0.2)
    fake.faults.time_out_after_acting()

    with pytest.raises(ProviderError) as caught:
        provider.create_checkout(checkout_request())
    (made,) = fake.store.sessions
    checkout = provider.create_checkout(checkout_request())

    assert type(caught.value) is ProviderError
    assert checkout.session_id == made
    assert list(fake.store.sessions) == [made]


def test_two_threads_with_one_key_make_one_session(
    fake: StripeFake, provider: StripeProvider
) -> None:
    hold = fake.faults.hold()
    with ThreadPoolExecutor(1) as other:
        first = other.submit(provider.create_checkout, checkout_request())
        hold.wait_for_request()

        with pytest.raises(ProviderError, match="409") as caught:
            provider.create_checkout(checkout_request())
        hold.release()
        made = first.result()

    assert type(caught.value) is ProviderError
    assert provider.create_checkout(checkout_request()) == made
    assert list(fake.store.sessions) == [made.session_id]


def test_find_checkout_follows_a_payment_by_card(
    fake: StripeFake, provider: StripeProvider
) -> None:
    id = provider.create_checkout(checkout_request()).session_id

    fake.people.decline(id)
    open_one = provider.find_checkout(id)
    payment_id = fake.people.pay(id)

    assert open_one == report(id, "open")
    assert provider.find_checkout(id) == report(id, "paid", payment_id)


def test_find_checkout_of_money_on_its_way_is_open_until_it_has_come(
    fake: StripeFake, provider: StripeProvider
) -> None:
    id = provider.create_checkout(checkout_request()).session_id

    payment_id = fake.people.pay_later(id)
    on_its_way = provider.find_checkout(id)
    fake.people.settle(id)

    assert on_its_way == report(id, "open")
    assert provider.find_checkout(id) == report(id, "paid", payment_id)


def test_find_checkout_of_money_that_did_not_come_is_expired(
    fake: StripeFake, provider: StripeProvider
) -> None:
    id = provider.create_checkout(checkout_request()).session_id
    fake.people.pay_later(id)
    fake.people.bounce(id)

    assert provider.find_checkout(id) == report(id, "expired")


def test_find_checkout_of_an_unknown_session_is_rejected(provider: StripeProvider) -> None:
    with pytest.raises(ProviderRejected, match="No such checkout.session: 'cs_test_none'"):
        provider.find_checkout("cs_test_none")


def test_expire_checkout_ends_an_open_one_once(fake: StripeFake, provider: StripeProvider) -> None:
    id = provider.create_checkout(checkout_request()).session_id

    first = provider.expire_checkout(id)
    second = provider.expire_checkout(id)

    assert (first, second) == (report(id, "expired"), report(id, "expired"))
    assert fake.event("checkout.session.expired")["data"]["object"]["id"] == id


def test_expire_checkout_returns_a_paid_one_as_it_is(
    fake: StripeFake, provider: StripeProvider
) -> None:
    id = provider.create_checkout(checkout_request()).session_id
    payment_id = fake.people.pay(id)

    assert provider.expire_checkout(id) == report(id, "paid", payment_id)


def test_expire_checkout_that_stripe_refuses_for_an_open_one_is_rejected(
    fake: StripeFake, provider: StripeProvider
) -> None:
    id = provider.create_checkout(checkout_request()).session_id
    fake.faults.refuse(400)

    with pytest.raises(ProviderRejected, match="400"):
        provider.expire_checkout(id)

    assert provider.find_checkout(id) == report(id, "open")


def test_expire_checkout_of_an_unknown_session_is_rejected(provider: StripeProvider) -> None:
    with pytest.raises(ProviderRejected, match="No such checkout.session: 'cs_test_none'"):
        provider.expire_checkout("cs_test_none")


@pytest.fixture
def paid(fake: StripeFake, provider: StripeProvider) -> str:
    """The id of a payment of 50.00 USD."""
    return fake.people.pay(provider.create_checkout(checkout_request()).session_id)


def test_refund_pays_back_once_for_a_key(
    fake: StripeFake, provider: StripeProvider, paid: str
) -> None:
    first = provider.refund(refund_request(paid))
    second = provider.refund(refund_request(paid))

    (refund,) = fake.store.refunds.values()
    assert first == second == RefundReport(refund_reference=refund["id"], status="succeeded")
    assert (refund["payment_intent"], refund["amount"]) == (paid, 5000)
    assert refund["metadata"] == {"reference": REFERENCE}


@pytest.mark.parametrize(
    ("at_stripe", "status"),
    [
        ("pending", "pending"),
        ("requires_action", "pending"),
        ("succeeded", "succeeded"),
        ("failed", "failed"),
        ("canceled", "failed"),
    ],
)
def test_refund_has_a_status_of_ours(
    fake: StripeFake, provider: StripeProvider, paid: str, at_stripe: str, status: str
) -> None:
    fake.store.refund_status = at_stripe

    assert provider.refund(refund_request(paid)).status == status


def test_refund_that_is_asked_for_again_is_as_it_is_by_now(
    fake: StripeFake, provider: StripeProvider, paid: str
) -> None:
    fake.store.refund_status = "pending"
    pending = provider.refund(refund_request(paid))
    fake.people.end_refund(pending.refund_reference, "failed")

    assert provider.refund(refund_request(paid)) == RefundReport(
        refund_reference=pending.refund_reference, status="failed"
    )


@pytest.mark.parametrize("before", [1, 5000])
def test_refund_over_what_is_left_of_the_captured_is_rejected(
    fake: StripeFake, provider: StripeProvider, paid: str, before: int
) -> None:
    fake.people.refund_by_hand(paid, before)

    with pytest.raises(ProviderRejected, match="400"):
        provider.refund(refund_request(paid))

    assert [each["amount"] for each in fake.store.refunds.values()] == [before]


def test_refund_of_nothing_captured_is_rejected(fake: StripeFake, provider: StripeProvider) -> None:
    payment_id = fake.people.pay_later(provider.create_checkout(checkout_request()).session_id)

    with pytest.raises(ProviderRejected, match="successful charge"):
        provider.refund(refund_request(payment_id))
