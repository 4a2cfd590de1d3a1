from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from payments.providers import (
    InvalidWebhook,
    ProviderEvent,
)
from tests.payments.sandbox_provider import (
    checkout_request,
    paid_checkout,
    provider_at,
    refund_request,
)
from tests.payments.sandbox_service import (
    OTHER_SECRET,
    SECRET,
    Sandbox,
    post,
    receiving,
    running_sandbox,
)

DATA: dict[str, Any] = {
    "sessionId": "cs_1",
    "paymentId": "pay_1",
    "reference": "application-1",
    "amount": 7550,
    "currency": "EUR",
}
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "type": "checkout.paid",
    "createdAt": "2026-01-01T00:00:00.000Z",
    "data": DATA,
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    database: Path = tmp_path_factory.mktemp("sandbox") / "sandbox.sqlite3"
    with running_sandbox(database) as service:
        yield service


def signed(
    event: Any, *, at: datetime | None = None, secret: str = SECRET
) -> tuple[dict[str, str], bytes]:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    at = at or datetime.now(UTC)
    signature = Webhook(secret).sign("evt_1", at, body.decode())
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": signature,
    }
    return headers, body


def test_parse_webhook_reads_what_the_sandbox_sends(service: Sandbox) -> None:
    provider = provider_at(service.url)
    with receiving() as receiver:
        request = checkout_request(
            idempotency_key="hook", webhook_url=receiver.url, reference="hook"
        )
        checkout = provider.create_checkout(request)
        post(f"{checkout.url}/pay")
        [(headers, body)] = receiver.wait_for(1)

    [payment] = service.payments("hook")
    assert provider.parse_webhook(headers=dict(headers), body=body) == ProviderEvent(
        event_id=headers["webhook-id"],
        type="paid",
        session_id=checkout.session_id,
        payment_reference=payment["id"],
        reference="hook",
        amount=7550,
        currency="EUR",
    )


@pytest.mark.parametrize(
    ("outcome", "event_type"), [("succeeded", "refunded"), ("failed", "refund_failed")]
)
def test_parse_webhook_reads_what_the_sandbox_sends_of_refunds(
    service: Sandbox, outcome: str, event_type: str
) -> None:
    provider = provider_at(service.url)
    service.behave(refundOutcome=outcome)
    with receiving() as receiver:
        checkout, payment_id = paid_checkout(service, event_type, webhook_url=receiver.url)
        request = refund_request(payment_id, idempotency_key=event_type, amount=50)
        report = provider.refund(request)
        headers, body = receiver.wait_for(2)[1]
    service.behave()

    event = provider.parse_webhook(headers=dict(headers), body=body)

    assert event is not None
    assert asdict(event) == {
        "event_id": headers["webhook-id"],
        "type": event_type,
        "session_id": checkout.session_id,
        "payment_reference": payment_id,
        "reference": "refund-1",
        "amount": 50,
        "currency": "EUR",
        "refund_reference": report.refund_reference,
    }


@pytest.mark.parametrize("payment_id", [None, "pay_1"])
@pytest.mark.parametrize("event_type", ["declined", "expired"])
def test_parse_webhook_finds_no_captured_payment_in_the_other_events(
    event_type: str, payment_id: str | None
) -> None:
    event = EVENT | {
        "type": f"checkout.{event_type}",
        "data": DATA | {"paymentId": payment_id},
    }
    headers, body = signed(event)

    parsed = provider_at("").parse_webhook(headers=headers, body=body)

    assert parsed is not None
    assert (parsed.type, parsed.payment_reference) == (event_type, None)


@pytest.mark.parametrize("event_type", ["checkout.eaten", "payout.paid"])
def test_parse_webhook_says_nothing_of_genuine_events_it_does_not_know(event_type: str) -> None:
    headers, body = signed({"id": "evt_1", "type": event_type})

    assert provider_at("").parse_webhook(headers=headers, body=body) is None


def test_parse_webhook_refuses_a_forged_event_that_it_does_not_know() -> None:
    headers, body = signed(EVENT | {"type": "checkout.eaten"}, secret=OTHER_SECRET)

    with pytest.raises(InvalidWebhook):
        provider_at("").parse_webhook(headers=headers, body=body)


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
def test_parse_webhook_believes_any_of_its_secrets(secret: str) -> None:
    headers, body = signed(EVENT, secret=secret)

    event = provider_at("", secrets=[SECRET, OTHER_SECRET]).parse_webhook(
        headers=headers, body=body
    )

    assert event is not None
    assert event.event_id == "evt_1"


@pytest.mark.parametrize("known", [SECRET, OTHER_SECRET])
def test_parse_webhook_believes_one_of_several_signatures(known: str) -> None:
    at = datetime.now(UTC)
    headers, body = signed(EVENT, at=at)
    other, _ = signed(EVENT, at=at, secret=OTHER_SECRET)
    signatures = f"{headers['Webhook-Signature']} {other['Webhook-Signature']}"

    event = provider_at("", secrets=[known]).parse_webhook(
        headers=headers | {"Webhook-Signature": signatures}, body=body
    )

    assert event is not None


@pytest.mark.parametrize("secrets", [[], [SECRET, "whsec_YW5vdGhlcg=="]])
def test_parse_webhook_refuses_another_secret(secrets: list[str]) -> None:
    headers, body = signed(EVENT, secret=OTHER_SECRET)

    with pytest.raises(InvalidWebhook):
        provider_at("", secrets=secrets).parse_webhook(headers=headers, body=body)


@pytest.mark.parametrize(
    "changes",
    [
        {"Webhook-Id": "evt_2"},
        {"Webhook-Id": ""},
        {"Webhook-Timestamp": "1"},
        {"Webhook-Timestamp": "now"},
        {"Webhook-Signature": ""},
        {"Webhook-Signature": "nonsense"},
        {"Webhook-Signature": "v1,"},
        {"Webhook-Signature": "v1,é"},
        {"Webhook-Signature": "v1,x"},
    ],
)
def test_parse_webhook_refuses_wrong_headers(changes: dict[str, str]) -> None:
    headers, body = signed(EVENT)

    with pytest.raises(InvalidWebhook):
        provider_at("").parse_webhook(headers=headers | changes, body=body)


@pytest.mark.parametrize("missing", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_parse_webhook_refuses_missing_headers(missing: str) -> None:
    headers, body = signed(EVENT)
    del headers[missing]

    with pytest.raises(InvalidWebhook):
        provider_at("").parse_webhook(headers=headers, body=body)


@pytest.mark.parametrize("seconds", [-290, 290])
def test_parse_webhook_believes_within_five_minutes(seconds: int) -> None:
    headers, body = signed(EVENT, at=datetime.now(UTC) + timedelta(seconds=seconds))

    assert provider_at("").parse_webhook(headers=headers, body=body) is not None


# A signature's time is in whole seconds, rounded down: 302 from now is at least 301.
@pytest.mark.parametrize("seconds", [-301, 302])
def test_parse_webhook_refuses_another_time(seconds: int) -> None:
    headers, body = signed(EVENT, at=datetime.now(UTC) + timedelta(seconds=seconds))

    with pytest.raises(InvalidWebhook):
        provider_at("").parse_webhook(headers=headers, body=body)


@pytest.mark.parametrize("change", [b" ", b"\xff"])
def test_parse_webhook_refuses_another_body(change: bytes) -> None:
    headers, body = signed(EVENT)

    with pytest.raises(InvalidWebhook):
        provider_at("").parse_webhook(headers=headers, body=body + change)


@pytest.mark.parametrize(
    "event",
    [
        b"not JSON",
        [],
        {},
        EVENT | {"id": None},
        EVENT | {"type": ""},
        EVENT | {"type": []},
        EVENT | {"data": None},
        EVENT | {"data": DATA | {"paymentId": None}},
        EVENT | {"data": DATA | {"amount": "7550"}},
        EVENT | {"data": DATA | {"reference": ""}},
        EVENT | {"type": "checkout.declined", "data": DATA | {"sessionId": None}},
        EVENT | {"type": "refund.succeeded", "data": DATA},
        EVENT | {"type": "refund.failed", "data": DATA | {"refundId": ""}},
        EVENT | {"type": "refund.failed", "data": DATA | {"refundId": "r", "paymentId": None}},
    ],
)
def test_parse_webhook_refuses_events_without_sense(event: Any) -> None:
    headers, body = signed(event)

    with pytest.raises(InvalidWebhook):
        provider_at("").parse_webhook(headers=headers, body=body)
