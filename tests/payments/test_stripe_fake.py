from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest
import stripe
from stripe.checkout import Session

from payments.providers.stripe_objects import READERS
from tests.payments.sandbox_service import receiving
from tests.payments.stripe_fake import API_KEY, SECRET, StripeFake, running_stripe

SESSION = {
    "mode": "payment",
    "success_url": "https://shop.example/paid",
    "client_reference_id": "order-1",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "eur",
    "line_items[0][price_data][unit_amount]": "7550",
    "line_items[0][price_data][product_data][name]": "Fee",
}
SESSIONS = "/v1/checkout/sessions"


@pytest.fixture
def fake() -> Iterator[StripeFake]:
    with running_stripe() as fake:
        yield fake


def post(
    fake: StripeFake, path: str, params: dict[str, str], key: str = "key-1", api_key: str = API_KEY
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": key}
    return httpx.post(fake.url + path, data=params, headers=headers, trust_env=False)


def changed(**changes: str | None) -> dict[str, str]:
    return {name: value for name, value in (SESSION | changes).items() if value is not None}


def error(answer: httpx.Response) -> Any:
    return answer.json()["error"]


def test_key_with_the_same_parameters_gets_the_same_answer(fake: StripeFake) -> None:
    first = post(fake, SESSIONS, SESSION)
    second = post(fake, SESSIONS, SESSION)

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"


def test_key_with_other_parameters_or_endpoint_is_an_idempotency_error(fake: StripeFake) -> None:
    post(fake, SESSIONS, SESSION)
    price = "line_items[0][price_data][unit_amount]"

    other_parameters = post(fake, SESSIONS, SESSION | {price: "1"})
    other_endpoint = post(fake, "/v1/refunds", {"payment_intent": "pi_1"})

    for answer in (other_parameters, other_endpoint):
        assert answer.status_code == 400
        assert error(answer)["type"] == "idempotency_error"


def test_key_of_a_request_with_bad_parameters_can_be_used_again(fake: StripeFake) -> None:
    assert post(fake, SESSIONS, changed(mode=None)).status_code == 400
    assert post(fake, SESSIONS, SESSION).status_code == 200


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"success_url": None}, "parameter_missing", "success_url"),
        ({"line_items[0][quantity]": None}, "parameter_missing", "line_items[0][quantity]"),
        ({"sucess_url": "x"}, "parameter_unknown", "sucess_url"),
        ({"success_url": "shop.example"}, "url_invalid", "success_url"),
        (
            {"line_items[0][price_data][unit_amount]": "75.50"},
            "parameter_invalid_integer",
            "line_items[0][price_data][unit_amount]",
        ),
    ],
)
def test_bad_parameters_are_refused(
    fake: StripeFake, changes: dict[str, str | None], code: str, param: str
) -> None:
    answer = post(fake, SESSIONS, changed(**changes))

    assert answer.status_code == 400
    assert (error(answer)["code"], error(answer).get("param", param)) == (code, param)


@pytest.mark.parametrize(("currency", "amount"), [("isk", "5050"), ("kwd", "12345")])
def test_amounts_that_stripe_does_not_take_are_refused(
    fake: StripeFake, currency: str, amount: str
) -> None:
    price = "line_items[0][price_data]"
    params = SESSION | {f"{price}[currency]": currency, f"{price}[unit_amount]": amount}

    assert post(fake, SESSIONS, params).status_code == 400


def test_wrong_key_is_refused(fake: StripeFake) -> None:
    assert post(fake, SESSIONS, SESSION, api_key="sk_test_other").status_code == 401
    assert fake.store.sessions == {}


def test_nothing_is_refunded_over_what_was_captured(fake: StripeFake) -> None:
    payment_id = fake.people.pay(post(fake, SESSIONS, SESSION).json()["id"])
    params = {"payment_intent": payment_id}

    too_much = post(fake, "/v1/refunds", params | {"amount": "7551"}, "too much")
    part = post(fake, "/v1/refunds", params | {"amount": "7000"}, "part")
    more_than_left = post(fake, "/v1/refunds", params | {"amount": "551"}, "more than left")
    rest = post(fake, "/v1/refunds", params, "rest")
    again = post(fake, "/v1/refunds", params, "again")

    statuses = [each.status_code for each in (too_much, part, more_than_left, rest, again)]
    assert statuses == [400, 200, 400, 200, 400]
    assert rest.json()["amount"] == 550
    assert error(again)["code"] == "charge_already_refunded"
    (charge,) = fake.store.charges.values()
    assert (charge["amount_refunded"], charge["refunded"]) == (7550, True)


def test_nobody_pays_at_a_session_that_has_ended(fake: StripeFake) -> None:
    id = post(fake, SESSIONS, SESSION).json()["id"]
    fake.people.expire(id)

    with pytest.raises(ValueError, match="expired"):
        fake.people.pay(id)


def test_webhooks_can_come_twice_in_another_order_late_and_forged(fake: StripeFake) -> None:
    id = post(fake, SESSIONS, SESSION).json()["id"]
    fake.people.decline(id)
    fake.people.pay(id)
    declined = fake.event("payment_intent.payment_failed")
    paid = fake.event("checkout.session.completed")

    with receiving(200, 200, 500) as receiver:
        statuses = [fake.deliver(receiver.url, event) for event in (paid, declined, paid)]
        fake.deliver(receiver.url, paid, secret="whsec_forged")
        fake.deliver(receiver.url, paid, at=1_000_000_000)

    assert statuses == [200, 200, 500]
    read = [_constructed(headers, body) for headers, body in receiver.requests]
    assert read == [paid["id"], declined["id"], paid["id"], "SignatureVerificationError"] + [
        "SignatureVerificationError"
    ]


def _constructed(headers: Any, body: bytes) -> str:
    """Return the id that Stripe's own library reads, or the name of its error."""
    try:
        event = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], SECRET)
    except stripe.SignatureVerificationError as error:
        return type(error).__name__
    return str(event.id)


def test_objects_have_only_fields_of_the_api_version_of_the_library(fake: StripeFake) -> None:
    fake.people.refund_by_hand(fake.people.pay(post(fake, SESSIONS, SESSION).json()["id"]))
    kinds: list[tuple[type, dict[str, dict[str, Any]]]] = [
        (Session, fake.store.sessions),
        (stripe.PaymentIntent, fake.store.intents),
        (stripe.Charge, fake.store.charges),
        (stripe.Refund, fake.store.refunds),
        (stripe.Event, {event["id"]: event for event in fake.events()}),
    ]

    for kind, made in kinds:
        for each in made.values():
            assert set(each) - set(kind.__annotations__) == set()


def test_events_have_types_of_the_api_version_of_the_library(fake: StripeFake) -> None:
    id = post(fake, SESSIONS, SESSION).json()["id"]
    fake.people.decline(id)
    refund_id = fake.people.refund_by_hand(fake.people.pay(id))
    fake.people.end_refund(refund_id, "failed")
    known = set(get_args(stripe.Event.__annotations__["type"]))

    assert {event["type"] for event in fake.events()} - known == set()
    assert set(READERS) - known == set()
