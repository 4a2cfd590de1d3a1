from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import override_settings
from standardwebhooks import Webhook

from payments.providers import (
    CheckoutRequest,
    InvalidWebhook,
    ProviderError,
    ProviderEvent,
    ProviderRejected,
    ProviderUnavailable,
    SandboxProvider,
    UnknownProvider,
    get_provider,
    sandbox,
)
from tests.payments.sandbox_service import API_KEY, SECRET, Sandbox, receiving, running_sandbox

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


def provider_at(url: str, api_key: str = API_KEY, secret: str = SECRET) -> SandboxProvider:
    return SandboxProvider(base_url=url, api_key=api_key, webhook_secret=secret)


def checkout_request(**changes: Any) -> CheckoutRequest:
    fields: dict[str, Any] = {
        "idempotency_key": "checkout:1:1",
        "reference": "application-1",
        "amount": 7550,
        "currency": "EUR",
        "description": "Application fee",
        "success_url": "http://shop.example/paid",
        "cancel_url": "http://shop.example/cancelled",
        "webhook_url": "http://127.0.0.1:9/hook",
    }
    return CheckoutRequest(**fields | changes)


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


def test_create_checkout_gives_a_page_to_pay_on(service: Sandbox) -> None:
    checkout = provider_at(service.url).create_checkout(checkout_request(idempotency_key="page"))

    assert checkout.url == f"{service.url}/checkout/{checkout.session_id}"
    assert httpx.get(checkout.url, trust_env=False).status_code == 200
    assert timedelta(hours=23) < checkout.expires_at - datetime.now(UTC) <= timedelta(hours=24)


def test_create_checkout_again_gives_the_same_checkout(service: Sandbox) -> None:
    provider = provider_at(service.url)
    request = checkout_request(idempotency_key="again")

    assert provider.create_checkout(request) == provider.create_checkout(request)


def test_create_checkout_of_another_request_with_the_key_is_rejected(service: Sandbox) -> None:
    provider = provider_at(service.url)
    provider.create_checkout(checkout_request(idempotency_key="other"))

    with pytest.raises(ProviderRejected, match="idempotency_mismatch"):
        provider.create_checkout(checkout_request(idempotency_key="other", amount=1))


def test_create_checkout_with_a_wrong_api_key_is_rejected(service: Sandbox) -> None:
    with pytest.raises(ProviderRejected, match="401"):
        provider_at(service.url, api_key="wrong").create_checkout(checkout_request())


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ProviderRejected),
        (404, ProviderRejected),
        (422, ProviderRejected),
        (302, ProviderError),
        (429, ProviderUnavailable),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
    ],
)
def test_create_checkout_maps_answers_to_errors(status: int, error: type[Exception]) -> None:
    with receiving(status) as receiver, pytest.raises(ProviderError) as raised:
        provider_at(receiver.url).create_checkout(checkout_request())

    assert raised.type is error


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"id": "cs_1", "url": "x", "expiresAt": 1}']
)
def test_create_checkout_may_be_repeated_after_an_unreadable_answer(answer: bytes) -> None:
    with receiving(201, answer=answer) as receiver, pytest.raises(ProviderError) as raised:
        provider_at(receiver.url).create_checkout(checkout_request())

    assert raised.type is ProviderError


def test_create_checkout_may_be_repeated_without_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(ProviderUnavailable, match="refuses connections") as raised:
        provider_at(f"http://127.0.0.1:{port}").create_checkout(checkout_request())

    assert raised.value.retry_after_seconds == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("", 0), ("-1", 0), ("1.5", 0), ("Tue, 24 Nov 2026 10:00:00 GMT", 0)],
)
def test_create_checkout_reads_what_the_provider_asks_to_wait(header: str, seconds: float) -> None:
    answer = httpx.Response(503, headers={"Retry-After": header} if header else {})

    assert sandbox._retry_after(answer) == seconds


def test_create_checkout_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "TIMEOUT", httpx.Timeout(0.1))

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ProviderError, match="ReadTimeout") as raised:
            provider_at(url).create_checkout(checkout_request())

    assert raised.type is ProviderError


def test_parse_webhook_reads_what_the_sandbox_sends(service: Sandbox) -> None:
    provider = provider_at(service.url)
    with receiving() as receiver:
        request = checkout_request(
            idempotency_key="hook", webhook_url=receiver.url, reference="hook"
        )
        checkout = provider.create_checkout(request)
        httpx.post(f"{checkout.url}/pay", trust_env=False)
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


@pytest.mark.parametrize("event_type", ["declined", "expired"])
def test_parse_webhook_knows_the_other_events(event_type: str) -> None:
    event = EVENT | {"type": f"checkout.{event_type}", "data": DATA | {"paymentId": None}}
    headers, body = signed(event)

    parsed = provider_at("").parse_webhook(headers=headers, body=body)

    assert (parsed.type, parsed.payment_reference) == (event_type, None)


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


@pytest.mark.parametrize("minutes", [-6, 6])
def test_parse_webhook_refuses_another_time(minutes: int) -> None:
    headers, body = signed(EVENT, at=datetime.now(UTC) + timedelta(minutes=minutes))

    with pytest.raises(InvalidWebhook):
        provider_at("").parse_webhook(headers=headers, body=body)


def test_parse_webhook_refuses_another_secret() -> None:
    headers, body = signed(EVENT, secret="whsec_c29tZSBvdGhlciBzZWNyZXQ=")

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
        EVENT | {"type": "checkout.eaten"},
        EVENT | {"type": []},
        EVENT | {"data": None},
        EVENT | {"data": DATA | {"paymentId": None}},
        EVENT | {"data": DATA | {"amount": "7550"}},
        EVENT | {"data": DATA | {"reference": ""}},
    ],
)
def test_parse_webhook_refuses_events_without_sense(event: Any) -> None:
    headers, body = signed(event)

    with pytest.raises(InvalidWebhook):
        provider_at("").parse_webhook(headers=headers, body=body)


def test_get_provider_follows_the_settings(service: Sandbox) -> None:
    request = checkout_request(idempotency_key="settings")

    with override_settings(
        PAYMENT_PROVIDER="sandbox",
        SANDBOX_URL=service.url,
        SANDBOX_API_KEY=API_KEY,
        SANDBOX_WEBHOOK_SECRET=SECRET,
    ):
        provider = get_provider()

    assert provider.name == "sandbox"
    assert provider.create_checkout(request).url.startswith(service.url)


def test_get_provider_refuses_unknown_names() -> None:
    with pytest.raises(UnknownProvider):
        get_provider("nobody")
