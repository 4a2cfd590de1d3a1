from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest

from payments.sandbox import pages
from payments.sandbox.money import format_amount
from tests.payments.sandbox_service import (
    SUCCESS_URL,
    Receiver,
    Sandbox,
    get,
    order,
    post,
    verified,
)


def at_once(call: Callable[[], httpx.Response], times: int = 8) -> list[httpx.Response]:
    with ThreadPoolExecutor(times) as pool:
        return [future.result() for future in [pool.submit(call) for _ in range(times)]]


# The API


def test_create_session_answers_with_an_open_session(sandbox: Sandbox) -> None:
    answer = sandbox.create("create", order())

    session = answer.json()
    assert answer.status_code == 201
    assert session == {
        "id": session["id"],
        "url": f"{sandbox.url}/checkout/{session['id']}",
        "status": "open",
        "amount": 7550,
        "currency": "EUR",
        "reference": "application-1",
        "expiresAt": session["expiresAt"],
        "paidAt": None,
        "paymentId": None,
    }
    assert sandbox.get(f"/v1/checkout-sessions/{session['id']}") == session


def test_create_session_again_gives_the_same_session(sandbox: Sandbox) -> None:
    first = sandbox.create("again", order())

    again = sandbox.create("again", dict(reversed(order(expiresInSeconds=86400).items())))

    assert again.status_code == 200
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()


def test_create_session_refuses_the_key_of_another_request(sandbox: Sandbox) -> None:
    sandbox.create("mismatch", order())

    answer = sandbox.create("mismatch", order(amount=1))

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "idempotency_mismatch")


def test_create_session_at_once_makes_one_session(sandbox: Sandbox) -> None:
    answers = at_once(lambda: sandbox.create("race", order()))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"amount": 10**30}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"reference": ""}, "reference"),
        ({"description": None}, "description"),
        ({"description": "\ud800"}, "JSON"),
        ({"successUrl": "javascript:alert(1)"}, "successUrl"),
        ({"cancelUrl": "http://shop.example/\r\nX: y"}, "cancelUrl"),
        ({"webhookUrl": "http://shop.example;evil/"}, "webhookUrl"),
        ({"expiresInSeconds": -1}, "expiresInSeconds"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_create_session_names_the_wrong_field(
    sandbox: Sandbox, change: dict[str, Any], field: str
) -> None:
    answer = sandbox.create("wrong", order(**change))

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert field in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/v1/payments?reference=x", {}, 401, "unauthorized"),
        ("POST", "/v1/checkout-sessions", {"key": True}, 400, "idempotency_key_required"),
        ("GET", "/v1/checkout-sessions/cs_0", {"key": True}, 404, "not_found"),
        ("GET", "/v1/payments", {"key": True}, 400, "invalid_request"),
        ("POST", "/v1/checkout-sessions/cs_0/expire", {}, 401, "unauthorized"),
        ("POST", "/v1/checkout-sessions/cs_0/expire", {"key": True}, 404, "not_found"),
        ("PUT", "/v1/checkout-sessions", {"key": True}, 405, "method_not_allowed"),
        ("GET", "/nothing", {}, 404, "not_found"),
        ("POST", "/healthz", {}, 405, "method_not_allowed"),
        ("POST", "/healthz", {"content": b"x" * 70_000}, 413, "too_large"),
        ("POST", "/healthz", {"content": iter([b"x"])}, 411, "length_required"),
    ],
)
def test_api_answers_errors_as_json(
    sandbox: Sandbox, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    headers = {"Authorization": "Bearer test-key"} if options.pop("key", False) else {}

    answer = httpx.request(method, sandbox.url + path, headers=headers, trust_env=False, **options)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_health_is_ok(sandbox: Sandbox) -> None:
    assert get(f"{sandbox.url}/healthz").json() == {"status": "ok"}


# Paying


def test_pay_moves_money_once_however_often(sandbox: Sandbox, receiver: Receiver) -> None:
    body = order(receiver.url, reference="once")
    session = sandbox.create("once", body).json()

    answers = at_once(lambda: post(f"{session['url']}/pay"))

    assert {(a.status_code, a.headers["Location"]) for a in answers} == {(303, SUCCESS_URL)}
    [payment] = sandbox.payments("once")
    assert (payment["status"], payment["amount"], payment["currency"]) == ("succeeded", 7550, "EUR")
    paid = sandbox.get(f"/v1/checkout-sessions/{session['id']}")
    assert (paid["status"], paid["paymentId"]) == ("paid", payment["id"])
    assert paid["paidAt"] == payment["createdAt"]
    [request] = receiver.wait_for(1)
    assert request[0]["webhook-id"] == verified(request)["id"]
    assert verified(request) == {
        "id": verified(request)["id"],
        "type": "checkout.paid",
        "createdAt": paid["paidAt"],
        "data": {
            "sessionId": session["id"],
            "paymentId": payment["id"],
            "reference": "once",
            "amount": 7550,
            "currency": "EUR",
        },
    }


def test_decline_leaves_the_session_to_be_paid(sandbox: Sandbox, receiver: Receiver) -> None:
    session = sandbox.create("decline", order(receiver.url, reference="decline")).json()

    answer = post(f"{session['url']}/decline")

    assert (answer.status_code, answer.headers["Location"]) == (303, f"/checkout/{session['id']}")
    assert "The card was declined." in get(session["url"]).text
    receiver.wait_for(1)
    post(f"{session['url']}/pay")
    declined, paid = [verified(request) for request in receiver.wait_for(2)]
    assert (declined["type"], paid["type"]) == ("checkout.declined", "checkout.paid")
    failed, succeeded = sandbox.payments("decline")
    assert (failed["status"], failed["id"]) == ("failed", declined["data"]["paymentId"])
    assert (succeeded["status"], succeeded["id"]) == ("succeeded", paid["data"]["paymentId"])
    assert "The card was declined." not in get(session["url"]).text


def test_expired_session_tells_and_cannot_be_paid(sandbox: Sandbox, receiver: Receiver) -> None:
    body = order(receiver.url, reference="late", expiresInSeconds=1)
    session = sandbox.create("late", body).json()

    [request] = receiver.wait_for(1)  # nobody looks at the session meanwhile

    event = verified(request)
    assert (event["type"], event["data"]["paymentId"]) == ("checkout.expired", None)
    answer = post(f"{session['url']}/pay")
    assert answer.headers["Location"] == f"/checkout/{session['id']}"
    assert "This checkout has expired" in get(session["url"]).text
    assert sandbox.payments("late") == []


def test_expire_ends_an_open_session(sandbox: Sandbox, receiver: Receiver) -> None:
    session = sandbox.create("end", order(receiver.url, reference="end")).json()

    ended = at_once(
        lambda: sandbox.request("POST", f"/v1/checkout-sessions/{session['id']}/expire")
    )

    assert {(answer.status_code, answer.json()["status"]) for answer in ended} == {(200, "expired")}
    assert ended[0].json() == session | {"status": "expired"}
    post(f"{session['url']}/pay")
    assert sandbox.payments("end") == []
    # One event, however often: the next one is of another session.
    post(sandbox.create("after end", order(receiver.url)).json()["url"] + "/pay")
    told = [verified(request)["type"] for request in receiver.wait_for(2)]
    assert told == ["checkout.expired", "checkout.paid"]


def test_expire_returns_a_paid_session_as_it_is(sandbox: Sandbox) -> None:
    session = sandbox.create("paid end", order()).json()
    post(f"{session['url']}/pay")
    paid = sandbox.get(f"/v1/checkout-sessions/{session['id']}")

    assert paid["status"] == "paid"
    assert sandbox.expire(session["id"]) == paid


def test_pay_and_expire_at_once_have_one_winner(sandbox: Sandbox) -> None:
    session = sandbox.create("tie", order(reference="tie")).json()
    calls = [lambda: post(f"{session['url']}/pay"), lambda: sandbox.expire(session["id"])] * 4

    with ThreadPoolExecutor(8) as pool:
        wait([pool.submit(call) for call in calls])

    status = sandbox.get(f"/v1/checkout-sessions/{session['id']}")["status"]
    assert status in {"paid", "expired"}
    assert len(sandbox.payments("tie")) == (1 if status == "paid" else 0)


# The page


def test_page_offers_pay_decline_and_cancel(sandbox: Sandbox) -> None:
    body = order(amount=500_000, currency="VND", description="<b>Fee</b>")
    session = sandbox.create("page", body).json()

    page = get(session["url"])

    assert page.status_code == 200
    assert "Sandbox: no money moves" in page.text
    assert "VND 500,000<" in page.text
    assert "&lt;b&gt;Fee&lt;/b&gt;" in page.text
    assert f'action="/checkout/{session["id"]}/pay"' in page.text
    assert f'action="/checkout/{session["id"]}/decline"' in page.text
    assert re.findall('name="tell" value="(.+?)"', page.text) == ["late", "twice", "out_of_order"]
    assert 'href="http://shop.example:8000/cancelled"' in page.text
    assert page.headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{pages.STYLE_HASH}'; img-src data:;"
        " form-action 'self' http://shop.example:8000; base-uri 'none'; frame-ancestors 'none'"
    )


def test_page_of_a_paid_session_leads_back(sandbox: Sandbox) -> None:
    session = sandbox.create("paid page", order()).json()
    post(f"{session['url']}/pay")

    page = get(session["url"]).text

    assert "Payment received" in page
    assert 'href="http://shop.example:8000/paid?a=1&amp;b=2"' in page
    assert "<form" not in page


def test_page_of_an_unknown_session_is_not_found(sandbox: Sandbox) -> None:
    page = get(f"{sandbox.url}/checkout/cs_0")

    assert page.status_code == 404
    assert "Checkout not found" in page.text


def test_page_of_a_refunded_session_says_so(sandbox: Sandbox) -> None:
    session = sandbox.create("refunded page", order(reference="refunded page")).json()
    post(f"{session['url']}/pay")
    [payment] = sandbox.payments("refunded page")
    sandbox.refund("refunded page", payment["id"], 2550)

    assert "EUR 75.50 for Application fee. Paid back: EUR 25.50." in get(session["url"]).text


def test_page_can_tell_twice(sandbox: Sandbox, receiver: Receiver) -> None:
    session = sandbox.create("twice", order(receiver.url, reference="twice")).json()

    answer = post(f"{session['url']}/pay", tell="twice")

    assert (answer.status_code, answer.headers["Location"]) == (303, SUCCESS_URL)
    first, second = receiver.wait_for(2)
    assert (first[1], first[0]["webhook-id"]) == (second[1], second[0]["webhook-id"])
    assert len(sandbox.payments("twice")) == 1


def test_page_can_tell_out_of_order(sandbox: Sandbox, receiver: Receiver) -> None:
    session = sandbox.create("order", order(receiver.url, reference="order")).json()

    post(f"{session['url']}/pay", tell="out_of_order")

    paid, declined = [verified(request) for request in receiver.wait_for(2)]
    assert (paid["type"], declined["type"]) == ("checkout.paid", "checkout.declined")
    assert [payment["status"] for payment in sandbox.payments("order")] == ["failed", "succeeded"]


def test_page_refuses_another_way_to_tell(sandbox: Sandbox) -> None:
    session = sandbox.create("tell", order(reference="tell")).json()

    answer = post(f"{session['url']}/pay", tell="never")

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == (
        "tell must be one of at_once, late, twice, out_of_order."
    )
    assert sandbox.payments("tell") == []


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (7550, "EUR", "EUR 75.50"),
        (5, "USD", "USD 0.05"),
        (123_456_789, "USD", "USD 1,234,567.89"),
        (500_000, "VND", "VND 500,000"),
        (100, "JPY", "JPY 100"),
        (1_234, "KRW", "KRW 1,234"),
        (1_500, "KWD", "KWD 1.500"),
    ],
)
def test_format_amount_uses_the_decimals_of_the_currency(
    amount: int, currency: str, text: str
) -> None:
    assert format_amount(amount, currency) == text
