from __future__ import annotations

import json
import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from payments.providers import InvalidWebhook, ProviderEvent
from payments.providers.stripe import SIGNATURE_TOLERANCE_SECONDS, StripeProvider
from tests.payments.stripe_fake import SECRET, StripeFake, running_stripe, webhooks
from tests.payments.stripe_orders import REFERENCE, checkout_request, provider_at, refund_request

OTHER_SECRET = "whsec_the_secret_before"
PROVIDER = provider_at("http://127.0.0.1:9")


@pytest.fixture
def fake() -> Iterator[StripeFake]:
    with running_stripe() as fake:
        yield fake


@pytest.fixture
def provider(fake: StripeFake) -> StripeProvider:
    return provider_at(fake.url)


@pytest.fixture
def session_id(provider: StripeProvider) -> str:
    return provider.create_checkout(checkout_request()).session_id


def parse(
    event: Any, *secrets: str, at: int | None = None, provider: StripeProvider = PROVIDER
) -> ProviderEvent | None:
    headers, body = webhooks.signed(event, *(secrets or (SECRET,)), at=at)
    return provider.parse_webhook(headers=headers, body=body)


def told(fake: StripeFake) -> list[str]:
    """Return what all events of the fake say to us, in order, each of a kind and id once."""
    events = [parse(event) for event in fake.events()]
    return list({event.event_id: event.type for event in events if event}.values())


def expected(fake: StripeFake, stripe_type: str, **fields: Any) -> ProviderEvent:
    usual: dict[str, Any] = {
        "event_id": fake.event(stripe_type)["id"],
        "payment_reference": None,
        "reference": REFERENCE,
        "amount": 5000,
        "currency": "USD",
        "session_id": "",
    }
    return ProviderEvent(**usual | fields)


def test_payment_by_card_is_paid(fake: StripeFake, session_id: str) -> None:
    payment_id = fake.people.pay(session_id)

    assert parse(fake.event("checkout.session.completed")) == expected(
        fake,
        "checkout.session.completed",
        type="paid",
        session_id=session_id,
        payment_reference=payment_id,
    )
    assert told(fake) == ["paid"]


def test_declined_card_is_declined_and_the_next_one_paid(fake: StripeFake, session_id: str) -> None:
    fake.people.decline(session_id)
    fake.people.pay(session_id)

    assert parse(fake.event("payment_intent.payment_failed")) == expected(
        fake, "payment_intent.payment_failed", type="declined"
    )
    assert told(fake) == ["declined", "paid"]


def test_money_that_takes_days_is_paid_when_it_has_come(fake: StripeFake, session_id: str) -> None:
    payment_id = fake.people.pay_later(session_id)
    told_before = told(fake)
    fake.people.settle(session_id)

    assert told_before == []
    assert parse(fake.event("checkout.session.async_payment_succeeded")) == expected(
        fake,
        "checkout.session.async_payment_succeeded",
        type="paid",
        session_id=session_id,
        payment_reference=payment_id,
    )
    assert told(fake) == ["paid"]


def test_money_that_does_not_come_is_declined(fake: StripeFake, session_id: str) -> None:
    fake.people.pay_later(session_id)
    fake.people.bounce(session_id)

    assert parse(fake.event("checkout.session.async_payment_failed")) == expected(
        fake, "checkout.session.async_payment_failed", type="declined", session_id=session_id
    )
    # The payment tells it too.
    assert told(fake) == ["declined", "declined"]


def test_session_that_ends_is_expired(fake: StripeFake, session_id: str) -> None:
    fake.people.expire(session_id)

    assert parse(fake.event("checkout.session.expired")) == expected(
        fake, "checkout.session.expired", type="expired", session_id=session_id
    )


def test_refund_of_ours_is_told_once(
    fake: StripeFake, provider: StripeProvider, session_id: str
) -> None:
    payment_id = fake.people.pay(session_id)
    refund_id = provider.refund(refund_request(payment_id, amount=2000)).refund_reference
    fake.people.name_receipt(refund_id)

    for stripe_type in ("refund.created", "refund.updated"):
        assert parse(fake.event(stripe_type)) == expected(
            fake,
            stripe_type,
            event_id=f"{refund_id}:refunded",
            type="refunded",
            payment_reference=payment_id,
            amount=2000,
            refund_reference=refund_id,
        )
    assert told(fake) == ["paid", "refunded"]


def test_refund_by_hand_is_told_once_without_a_reference(fake: StripeFake, session_id: str) -> None:
    payment_id = fake.people.pay(session_id)
    refund_id = fake.people.refund_by_hand(payment_id)

    assert parse(fake.event("refund.created")) == expected(
        fake,
        "refund.created",
        event_id=f"{refund_id}:refunded",
        type="refunded",
        payment_reference=payment_id,
        reference="",
        refund_reference=refund_id,
    )
    assert told(fake) == ["paid", "refunded"]


@pytest.mark.parametrize(
    ("end", "type"),
    [("succeeded", "refunded"), ("failed", "refund_failed"), ("canceled", "refund_failed")],
)
def test_pending_refund_is_told_once_when_it_ends(
    fake: StripeFake, provider: StripeProvider, session_id: str, end: str, type: str
) -> None:
    fake.store.refund_status = "pending"
    refund = provider.refund(refund_request(fake.people.pay(session_id)))
    told_before = told(fake)
    fake.people.end_refund(refund.refund_reference, end)

    assert told_before == ["paid"]
    assert told(fake) == ["paid", type]


def test_refund_that_fails_after_it_succeeded_is_told_too(
    fake: StripeFake, provider: StripeProvider, session_id: str
) -> None:
    refund = provider.refund(refund_request(fake.people.pay(session_id)))
    fake.people.end_refund(refund.refund_reference, "failed")

    assert told(fake) == ["paid", "refunded", "refund_failed"]


def test_what_something_else_does_at_the_same_account_says_nothing(
    fake: StripeFake, session_id: str
) -> None:
    fake.people.decline(session_id)
    fake.people.pay(session_id)
    payment = fake.event("payment_intent.payment_failed")
    payment["data"]["object"]["metadata"] = {}
    paid = fake.event("checkout.session.completed")
    paid["data"]["object"]["client_reference_id"] = None

    subscribed = deepcopy(paid)
    subscribed["data"]["object"] |= {"client_reference_id": "order-1", "mode": "subscription"}
    fake.people.refund_by_hand(fake.event("payment_intent.succeeded")["data"]["object"]["id"])
    refunded = fake.event("refund.created")
    refunded["data"]["object"]["payment_intent"] = None

    events = [payment, paid, subscribed, refunded]
    assert [parse(event) for event in events] == [None] * 4


def test_unknown_type_says_nothing() -> None:
    assert parse({"id": "evt_1", "type": "invoice.paid", "data": {}}) is None


UNKNOWN = {"id": "evt_1", "type": "invoice.paid"}


def test_either_of_two_secrets_is_believed_and_no_third() -> None:
    rolling = provider_at("http://127.0.0.1:9", SECRET, OTHER_SECRET)

    assert parse(UNKNOWN, SECRET, provider=rolling) is None
    assert parse(UNKNOWN, OTHER_SECRET, provider=rolling) is None
    assert parse(UNKNOWN, "whsec_third", OTHER_SECRET, provider=rolling) is None
    with pytest.raises(InvalidWebhook):
        parse(UNKNOWN, "whsec_third", provider=rolling)


def test_without_a_secret_no_webhook_is_believed() -> None:
    for secrets in ([], [""]):
        provider = StripeProvider(base_url="", api_key="", webhook_secrets=secrets)
        with pytest.raises(InvalidWebhook):
            parse(UNKNOWN, "", provider=provider)


def test_webhook_is_believed_for_five_minutes() -> None:
    now = int(time.time())
    assert SIGNATURE_TOLERANCE_SECONDS == 300
    assert parse(UNKNOWN, at=now - 240) is None
    with pytest.raises(InvalidWebhook, match="too old"):
        parse(UNKNOWN, at=now - 301)


@pytest.mark.parametrize("forgery", ["another secret", "another body", "cut", "another time"])
def test_forged_webhook_is_not_believed(fake: StripeFake, session_id: str, forgery: str) -> None:
    fake.people.pay(session_id)
    secret = "whsec_forged" if forgery == "another secret" else SECRET
    headers, body = webhooks.signed(fake.event("checkout.session.completed"), secret)
    if forgery == "another body":
        body = body.replace(b"5000", b"1")
    if forgery == "cut":
        body = body[:-1]
    if forgery == "another time":
        parts = headers["Stripe-Signature"].split(",")
        headers["Stripe-Signature"] = f"t={int(parts[0][2:]) + 1},{parts[1]}"

    with pytest.raises(InvalidWebhook, match="signature"):
        PROVIDER.parse_webhook(headers=headers, body=body)


@pytest.mark.parametrize(
    "signature",
    [None, "", "v1=abc", "t=", "t=x,v1=abc", "t=1", "t=9999999999,v0=abc", "t=9999999999,v1=é"],
)
def test_badly_formed_signature_is_not_believed(signature: str | None) -> None:
    headers = {} if signature is None else {"Stripe-Signature": signature}

    with pytest.raises(InvalidWebhook):
        PROVIDER.parse_webhook(headers=headers, body=json.dumps(UNKNOWN).encode())


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b'{"id": "evt_1", "type": 5}']
)
def test_signed_body_that_is_no_event_is_invalid(body: bytes) -> None:
    with pytest.raises(InvalidWebhook):
        parse(body)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": 5},
        {"amount_total": "5000"},
        {"amount_total": 50.0},
        {"amount_total": True},
        {"amount_total": None},
        {"currency": None},
        {"currency": "isk", "amount_total": 5050},
        {"client_reference_id": ""},
        {"payment_intent": None},
    ],
)
def test_signed_event_that_makes_no_sense_is_invalid(
    fake: StripeFake, session_id: str, changes: dict[str, Any]
) -> None:
    fake.people.pay(session_id)
    event = fake.event("checkout.session.completed")
    event["data"]["object"] |= changes

    with pytest.raises(InvalidWebhook, match="can't be read"):
        parse(event)


@pytest.mark.parametrize("missing", ["id", "type", "data"])
def test_signed_event_with_a_part_missing_is_invalid(
    fake: StripeFake, session_id: str, missing: str
) -> None:
    fake.people.pay(session_id)
    event = fake.event("checkout.session.completed")
    del event[missing]

    with pytest.raises(InvalidWebhook, match="can't be read"):
        parse(event)
