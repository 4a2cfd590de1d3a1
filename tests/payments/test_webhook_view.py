from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from outbox.models import Outbox
from payments.models import Payment, ProviderEvent
from tests.applications.submissions import assert_problem
from tests.payments.sandbox_service import SECRET

URL = "/payments/webhooks/sandbox"


@pytest.fixture(autouse=True)
def secret(settings, db: None) -> None:
    settings.SANDBOX_WEBHOOK_SECRETS = [SECRET]


def body_of(payment: Payment) -> bytes:
    data = {
        "sessionId": "cs_1",
        "paymentId": "pay_1",
        "reference": str(payment.pk),
        "amount": 5000,
        "currency": "USD",
    }
    return json.dumps({"id": "evt_1", "type": "checkout.paid", "data": data}).encode()


def signed(body: bytes, *, secret: str = SECRET, age: timedelta = timedelta()) -> dict[str, str]:
    at = datetime.now(UTC) - age
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("msg_1", at, body.decode()),
    }


def send(client, body: bytes, headers: dict[str, str], url: str = URL) -> Any:
    return client.post(url, body, content_type="application/json", headers=headers)


def test_a_signed_event_is_received(client, payment):
    body = body_of(payment)

    response = send(client, body, signed(body))

    assert (response.status_code, response.json()) == (200, {"received": True})
    stored = ProviderEvent.objects.get()
    assert (stored.event_id, stored.provider, stored.type) == ("evt_1", "sandbox", "paid")
    assert Outbox.objects.get().aggregate_id == payment.application_id


def test_a_repeated_event_is_accepted_and_kept_once(client, payment):
    body = body_of(payment)

    answers = [send(client, body, signed(body)).json() for _ in range(2)]

    assert answers == [{"received": True}] * 2
    assert (ProviderEvent.objects.count(), Outbox.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: {},
        lambda body: {**signed(body), "Webhook-Signature": ""},
        lambda body: {**signed(body), "Webhook-Signature": "v1,AAAA"},
        lambda body: {**signed(body), "Webhook-Id": "msg_2"},
        lambda body: {**signed(body), "Webhook-Timestamp": "soon"},
        lambda body: signed(body + b" "),
        lambda body: signed(body, age=timedelta(minutes=6)),
        lambda body: signed(body, age=timedelta(minutes=-6)),
        lambda body: signed(body, secret="whsec_b3RoZXI="),
    ],
    ids=["none", "empty", "wrong", "id", "time", "body", "old", "future", "secret"],
)
def test_an_event_with_a_bad_signature_is_refused(client, payment, spoil):
    body = body_of(payment)

    response = send(client, body, spoil(body))

    assert_problem(response, 400, "parse_error")
    assert (ProviderEvent.objects.count(), Outbox.objects.count()) == (0, 0)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"nonsense", b'{"id": 1}'])
def test_a_signed_event_that_makes_no_sense_is_refused(client, body):
    assert_problem(send(client, body, signed(body)), 400, "parse_error")
    assert ProviderEvent.objects.count() == 0


def test_an_unknown_provider_is_not_there(client, payment):
    body = body_of(payment)

    response = send(client, body, signed(body), "/payments/webhooks/other")

    assert_problem(response, 404, "not_found")


def test_another_method_is_not_allowed(client):
    assert_problem(client.get(URL), 405, "method_not_allowed")
