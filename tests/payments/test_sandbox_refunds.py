from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.payments.sandbox_service import (
    Receiver,
    Sandbox,
    order,
    post,
    receiving,
    running_sandbox,
    verified,
)

pytestmark = pytest.mark.usefixtures("good_behaviour")


def paid(sandbox: Sandbox, name: str, url: str = "http://127.0.0.1:9/", **changes: Any) -> Any:
    """Return the payment of a new session, 7550 minor units of EUR unless told otherwise."""
    session = sandbox.create(name, order(url, reference=name, **changes)).json()
    post(f"{session['url']}/pay")
    return sandbox.payments(name)[-1]


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_refund_pays_back_and_tells(sandbox: Sandbox, receiver: Receiver) -> None:
    payment = paid(sandbox, "back", receiver.url)

    answer = sandbox.refund("back", payment["id"], 7550, reference="refund-7")

    refund = answer.json()
    assert answer.status_code == 201
    assert refund == {
        "id": refund["id"],
        "paymentId": payment["id"],
        "sessionId": payment["sessionId"],
        "reference": "refund-7",
        "amount": 7550,
        "currency": "EUR",
        "status": "succeeded",
        "createdAt": refund["createdAt"],
    }
    assert sandbox.get(f"/v1/refunds/{refund['id']}") == refund
    assert sandbox.payments("back") == [payment | {"refundedAmount": 7550}]
    event = verified(receiver.wait_for(2)[1])
    assert event == {
        "id": event["id"],
        "type": "refund.succeeded",
        "createdAt": refund["createdAt"],
        "data": {
            "refundId": refund["id"],
            "paymentId": payment["id"],
            "sessionId": payment["sessionId"],
            "reference": "refund-7",
            "amount": 7550,
            "currency": "EUR",
        },
    }


def test_refund_again_gives_the_same_refund(sandbox: Sandbox) -> None:
    payment = paid(sandbox, "again")
    first = sandbox.refund("again", payment["id"], 7550)

    again = sandbox.refund("again", payment["id"], 7550)

    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert again.json() == first.json()


@pytest.mark.parametrize("change", [{"amount": 2}, {"reference": "x"}, {"currency": "EUR"}])
def test_refund_refuses_the_key_of_another_request(
    sandbox: Sandbox, change: dict[str, Any]
) -> None:
    payment = paid(sandbox, f"mismatch {change}")
    key = f"mismatch {change}"
    sandbox.refund(key, payment["id"], 1)

    answer = sandbox.refund(key, payment["id"], **{"amount": 1} | change)

    assert error(answer) == (422, "idempotency_mismatch")


def test_refund_at_once_with_one_key_pays_back_once(sandbox: Sandbox, receiver: Receiver) -> None:
    payment = paid(sandbox, "race", receiver.url)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sandbox.refund("race", payment["id"], 1000), range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sandbox.payments("race")[0]["refundedAmount"] == 1000
    # One event, however often: the next one is of another refund.
    sandbox.refund("after race", payment["id"], 1)
    amounts = [verified(request)["data"]["amount"] for request in receiver.wait_for(3)]
    assert amounts == [7550, 1000, 1]


def test_refunds_at_once_with_other_keys_stay_within_the_payment(sandbox: Sandbox) -> None:
    payment = paid(sandbox, "sum")

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: sandbox.refund(f"sum {n}", payment["id"], 2000), range(8))
        )

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [400] * 5
    assert sandbox.payments("sum")[0]["refundedAmount"] == 6000


def test_refunds_add_up_to_the_payment_and_not_more(sandbox: Sandbox) -> None:
    payment = paid(sandbox, "edge")
    assert sandbox.refund("edge 1", payment["id"], 7000).status_code == 201

    assert error(sandbox.refund("edge 2", payment["id"], 551)) == (400, "refund_too_large")
    assert sandbox.refund("edge 3", payment["id"], 550).status_code == 201
    assert error(sandbox.refund("edge 4", payment["id"], 1)) == (400, "refund_too_large")
    assert sandbox.payments("edge")[0]["refundedAmount"] == 7550


def test_a_refused_refund_leaves_its_key_free(sandbox: Sandbox) -> None:
    payment = paid(sandbox, "free")
    assert error(sandbox.refund("free", payment["id"], 7551)) == (400, "refund_too_large")

    assert sandbox.refund("free", payment["id"], 7550).status_code == 201


def test_refund_of_a_declined_payment_is_refused(sandbox: Sandbox) -> None:
    session = sandbox.create("declined", order(reference="declined")).json()
    post(f"{session['url']}/decline")
    [payment] = sandbox.payments("declined")

    assert error(sandbox.refund("declined", payment["id"], 1)) == (400, "refund_too_large")


def test_refund_of_an_unknown_payment_is_not_found(sandbox: Sandbox) -> None:
    assert error(sandbox.refund("unknown", "pay_0", 1)) == (404, "not_found")
    assert error(sandbox.request("GET", "/v1/refunds/re_0")) == (404, "not_found")


def test_refund_in_another_currency_is_refused(sandbox: Sandbox) -> None:
    payment = paid(sandbox, "yen", amount=500, currency="JPY")

    assert error(sandbox.refund("yen", payment["id"], 1, currency="EUR")) == (
        400,
        "wrong_currency",
    )
    assert sandbox.refund("yen", payment["id"], 500, currency="JPY").json()["currency"] == "JPY"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount": 0}, "amount must be a whole number from 1 to 1000000000000."),
        ({"amount": 10**12 + 1}, "amount must be a whole number from 1 to 1000000000000."),
        ({"amount": 1.5}, "amount must be a whole number from 1 to 1000000000000."),
        ({"paymentId": ""}, "paymentId must be a text of 1 to 255 characters."),
        ({"reference": "x" * 256}, "reference must be a text of 1 to 255 characters."),
        ({"currency": None}, "currency must be an ISO 4217 code in upper case."),
        ({"colour": "red"}, "Unknown field: colour."),
    ],
)
def test_refund_names_the_wrong_field(
    sandbox: Sandbox, change: dict[str, Any], message: str
) -> None:
    body = {"paymentId": "pay_0", "amount": 1, "reference": "r"} | change

    answer = sandbox.request("POST", "/v1/refunds", json=body, headers={"Idempotency-Key": "wrong"})

    assert error(answer) == (400, "invalid_request")
    assert answer.json()["error"]["message"] == message


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, (400, "idempotency_key_required")),
        ("", (400, "idempotency_key_required")),
        ("k" * 255, (404, "not_found")),
        ("k" * 256, (400, "idempotency_key_required")),
    ],
)
def test_refund_needs_a_key(sandbox: Sandbox, key: str | None, expected: tuple[int, str]) -> None:
    body = {"paymentId": "pay_0", "amount": 1, "reference": "r"}
    headers = {} if key is None else {"Idempotency-Key": key}

    assert error(sandbox.request("POST", "/v1/refunds", json=body, headers=headers)) == expected


# Outcomes


def test_a_failed_refund_tells_and_leaves_the_money(sandbox: Sandbox, receiver: Receiver) -> None:
    payment = paid(sandbox, "fails", receiver.url)
    sandbox.behave(refundOutcome="failed")

    failed = sandbox.refund("fails", payment["id"], 7550).json()

    sandbox.behave()
    event = verified(receiver.wait_for(2)[1])
    assert (event["type"], event["data"]["refundId"]) == ("refund.failed", failed["id"])
    assert failed["status"] == "failed"
    assert sandbox.payments("fails") == [payment]
    assert sandbox.refund("fails", payment["id"], 7550).json() == failed
    assert sandbox.refund("fails again", payment["id"], 7550).json()["status"] == "succeeded"


@pytest.mark.parametrize(("outcome", "back"), [("succeeded", 7550), ("failed", 0)])
def test_a_pending_refund_is_settled_by_the_next_outcome(
    sandbox: Sandbox, receiver: Receiver, outcome: str, back: int
) -> None:
    payment = paid(sandbox, outcome, receiver.url)
    sandbox.behave(refundOutcome="pending")
    pending = sandbox.refund(outcome, payment["id"], 7550).json()
    assert pending["status"] == "pending"
    assert sandbox.payments(outcome)[0]["refundedAmount"] == 0
    # It counts meanwhile: both could succeed.
    assert error(sandbox.refund(f"{outcome} 2", payment["id"], 1)) == (400, "refund_too_large")
    sandbox.behave(refundOutcome="pending", webhookCopies=1)
    assert sandbox.get(f"/v1/refunds/{pending['id']}") == pending

    sandbox.behave(refundOutcome=outcome)

    event = verified(receiver.wait_for(2)[1])
    assert (event["type"], event["data"]["refundId"]) == (f"refund.{outcome}", pending["id"])
    assert sandbox.get(f"/v1/refunds/{pending['id']}") == pending | {"status": outcome}
    assert sandbox.payments(outcome)[0]["refundedAmount"] == back


# The database holds it


@pytest.mark.parametrize(
    ("amount", "error_message"), [(550, None), (551, "more than was captured")]
)
def test_database_refuses_refunds_over_the_payment(
    sandbox: Sandbox, database: Path, amount: int, error_message: str | None
) -> None:
    payment = paid(sandbox, f"by hand {amount}")
    sandbox.refund(f"by hand {amount}", payment["id"], 7000)
    refund = (f"re_{amount}", f"hand {amount}", payment["id"], amount)

    message = None
    with closing(sqlite3.connect(database, timeout=20)) as db, db:
        try:
            db.execute("INSERT INTO refunds VALUES (?, ?, '', ?, 'r', ?, 'pending', 0)", refund)
        except sqlite3.IntegrityError as refused:
            message = str(refused)

    assert message == error_message


@pytest.mark.parametrize("change", ["status = 'pending'", "amount = 1", "payment_id = 'x'"])
def test_database_keeps_a_settled_refund_as_it_is(
    sandbox: Sandbox, database: Path, change: str
) -> None:
    payment = paid(sandbox, change)
    refund = sandbox.refund(change, payment["id"], 7550).json()

    with (
        pytest.raises(sqlite3.IntegrityError, match="a refund is settled once"),
        closing(sqlite3.connect(database, timeout=20)) as db,
    ):
        db.execute(f"UPDATE refunds SET {change} WHERE id = ?", [refund["id"]])


def test_a_refund_survives_a_kill_before_its_answer_and_its_event(tmp_path: Path) -> None:
    database = tmp_path / "sandbox.sqlite3"
    with receiving(200, 503) as receiver:
        with running_sandbox(database) as sandbox:
            payment = paid(sandbox, "killed", receiver.url)
            receiver.wait_for(1)
            sandbox.behave(timeOutAfterActing=1)
            with pytest.raises(httpx.RemoteProtocolError):
                sandbox.refund("killed", payment["id"], 7550)
            refused = receiver.wait_for(2)[1]
            assert sandbox.kill() == -9
        receiver.statuses = [200]
        tried = len(receiver.requests)
        with running_sandbox(database) as sandbox:
            accepted = receiver.wait_for(tried + 1)[-1]
            again = sandbox.refund("killed", payment["id"], 7550)

            assert accepted[1] == refused[1]
            assert verified(accepted)["data"]["refundId"] == again.json()["id"]
            assert again.status_code == 200
            assert sandbox.payments("killed")[0]["refundedAmount"] == 7550
