from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from payments.providers import (
    CheckoutReport,
    KeyReused,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    SandboxProvider,
    sandbox,
)
from tests.payments.sandbox_provider import (
    checkout_request,
    paid_checkout,
    provider_at,
    refund_request,
)
from tests.payments.sandbox_service import (
    Sandbox,
    order,
    receiving,
    running_sandbox,
)

URLS = {"successUrl": "http://shop.example/paid", "cancelUrl": "http://shop.example/cancelled"}

CALLS: dict[str, Callable[[SandboxProvider], object]] = {
    "create_checkout": lambda provider: provider.create_checkout(checkout_request()),
    "find_checkout": lambda provider: provider.find_checkout("cs_0"),
    "expire_checkout": lambda provider: provider.expire_checkout("cs_0"),
    "refund": lambda provider: provider.refund(refund_request("pay_0")),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    database: Path = tmp_path_factory.mktemp("sandbox") / "sandbox.sqlite3"
    with running_sandbox(database) as service:
        yield service


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

    with pytest.raises(KeyReused, match="idempotency_mismatch"):
        provider.create_checkout(checkout_request(idempotency_key="other", amount=1))


@each_call
def test_a_call_with_a_wrong_api_key_is_rejected(
    service: Sandbox, call: Callable[[SandboxProvider], object]
) -> None:
    with pytest.raises(ProviderRejected, match="401"):
        call(provider_at(service.url, api_key="wrong"))


@each_call
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ProviderRejected),
        (404, ProviderRejected),
        (422, KeyReused),
        (302, ProviderError),
        (429, ProviderUnavailable),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
    ],
)
def test_a_call_maps_answers_to_errors(
    call: Callable[[SandboxProvider], object], status: int, error: type[Exception]
) -> None:
    with receiving(status) as receiver, pytest.raises(ProviderError) as raised:
        call(provider_at(receiver.url))

    assert raised.type is error


@each_call
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id": "cs_1", "url": "x", "expiresAt": 1}',
        b'{"id": "", "url": "x", "expiresAt": "2026-01-01T00:00:00Z", "status": "open"}',
        b'{"id": "re_1", "url": null, "expiresAt": "2026-01-01T00:00:00Z", "status": "eaten"}',
        b'{"id": "cs_1", "url": "x", "expiresAt": "x", "status": "paid", "paymentId": null}',
    ],
)
def test_a_call_may_be_repeated_after_an_unreadable_answer(
    call: Callable[[SandboxProvider], object], answer: bytes
) -> None:
    with receiving(200, answer=answer) as receiver, pytest.raises(ProviderError) as raised:
        call(provider_at(receiver.url))

    assert raised.type is ProviderError


@each_call
def test_a_call_may_be_repeated_without_a_connection(
    call: Callable[[SandboxProvider], object],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(ProviderUnavailable, match="refuses connections") as raised:
        call(provider_at(f"http://127.0.0.1:{port}"))

    assert raised.value.retry_after_seconds == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("", 0), ("-1", 0), ("1.5", 0), ("Tue, 24 Nov 2026 10:00:00 GMT", 0)],
)
def test_a_call_reads_what_the_provider_asks_to_wait(header: str, seconds: float) -> None:
    answer = httpx.Response(503, headers={"Retry-After": header} if header else {})

    assert sandbox._retry_after(answer) == seconds


@each_call
def test_a_call_does_not_wait_for_ever(
    call: Callable[[SandboxProvider], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "TIMEOUT", httpx.Timeout(0.1))

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ProviderError, match="ReadTimeout") as raised:
            call(provider_at(url))

    assert raised.type is ProviderError


def test_a_sandbox_that_refuses_for_a_while_says_how_long(service: Sandbox) -> None:
    service.behave(failRequests=1)

    with pytest.raises(ProviderUnavailable, match="503") as raised:
        provider_at(service.url).create_checkout(checkout_request(idempotency_key="while"))

    assert raised.value.retry_after_seconds == 1


def test_create_checkout_finds_what_was_made_without_an_answer(service: Sandbox) -> None:
    provider = provider_at(service.url)
    request = checkout_request(idempotency_key="no answer")
    service.behave(timeOutAfterActing=1)

    with pytest.raises(ProviderError, match="RemoteProtocolError") as raised:
        provider.create_checkout(request)

    again = service.create("no answer", order("http://127.0.0.1:9/hook", **URLS))
    assert raised.type is ProviderError
    assert again.headers["Idempotency-Replayed"] == "true"
    assert provider.create_checkout(request).session_id == again.json()["id"]


# Checkouts found and ended


def test_find_checkout_reports_an_open_one(service: Sandbox) -> None:
    provider = provider_at(service.url)
    checkout = provider.create_checkout(checkout_request(idempotency_key="find"))

    assert provider.find_checkout(checkout.session_id) == CheckoutReport(
        session_id=checkout.session_id,
        status="open",
        payment_reference=None,
        reference="application-1",
        amount=7550,
        currency="EUR",
    )


def test_find_checkout_reports_a_paid_one(service: Sandbox) -> None:
    checkout, payment_id = paid_checkout(service, "find paid", amount=500_000, currency="VND")

    assert provider_at(service.url).find_checkout(checkout.session_id) == CheckoutReport(
        session_id=checkout.session_id,
        status="paid",
        payment_reference=payment_id,
        reference="find paid",
        amount=500_000,
        currency="VND",
    )


def test_find_checkout_of_an_unknown_one_is_rejected(service: Sandbox) -> None:
    with pytest.raises(ProviderRejected, match="404"):
        provider_at(service.url).find_checkout("cs_0")


def test_expire_checkout_ends_an_open_one(service: Sandbox) -> None:
    provider = provider_at(service.url)
    checkout = provider.create_checkout(checkout_request(idempotency_key="expire"))

    report = provider.expire_checkout(checkout.session_id)

    assert (report.status, report.payment_reference) == ("expired", None)
    assert provider.find_checkout(checkout.session_id) == report
    assert provider.expire_checkout(checkout.session_id) == report


def test_expire_checkout_returns_a_paid_one_as_it_is(service: Sandbox) -> None:
    checkout, payment_id = paid_checkout(service, "expire paid")

    report = provider_at(service.url).expire_checkout(checkout.session_id)

    assert (report.status, report.payment_reference) == ("paid", payment_id)


# Refunds


@pytest.mark.parametrize("outcome", ["succeeded", "pending", "failed"])
def test_refund_reports_how_it_went(service: Sandbox, outcome: str) -> None:
    provider = provider_at(service.url)
    _, payment_id = paid_checkout(service, f"refund {outcome}")
    request = refund_request(payment_id, idempotency_key=f"refund {outcome}")
    service.behave(refundOutcome=outcome)

    report = provider.refund(request)

    assert report.status == outcome
    assert provider.refund(request) == report
    found = service.get(f"/v1/refunds/{report.refund_reference}")
    assert (found["paymentId"], found["reference"], found["amount"], found["currency"]) == (
        *(payment_id, "refund-1", 7550, "EUR"),
    )
    service.behave()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": 7551}, "refund_too_large"),
        ({"currency": "USD"}, "wrong_currency"),
        ({"payment_reference": "pay_0"}, "not_found"),
        ({"amount": 0}, "invalid_request"),
    ],
)
def test_refund_that_cannot_be_is_rejected(
    service: Sandbox, changes: dict[str, Any], code: str
) -> None:
    _, payment_id = paid_checkout(service, f"refused {code}")

    with pytest.raises(ProviderRejected, match=code):
        provider_at(service.url).refund(
            refund_request(**{"payment_reference": payment_id} | changes)
        )


def test_refund_without_an_answer_is_found_by_its_key(service: Sandbox) -> None:
    provider = provider_at(service.url)
    _, payment_id = paid_checkout(service, "lost refund")
    request = refund_request(payment_id, idempotency_key="lost refund")
    service.behave(timeOutAfterActing=1)

    with pytest.raises(ProviderError, match="RemoteProtocolError") as raised:
        provider.refund(request)

    assert raised.type is ProviderError
    assert service.payments("lost refund")[0]["refundedAmount"] == 7550
    assert provider.refund(request).status == "succeeded"
    assert service.payments("lost refund")[0]["refundedAmount"] == 7550
