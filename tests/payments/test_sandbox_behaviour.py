from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.payments.sandbox_service import (
    GOOD_BEHAVIOUR,
    Receiver,
    Sandbox,
    order,
    post,
    running_sandbox,
    told,
)

pytestmark = pytest.mark.usefixtures("good_behaviour")


# Setting it


def test_behaviour_is_good_at_first(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "s.sqlite3") as sandbox:
        assert sandbox.get("/v1/behaviour") == GOOD_BEHAVIOUR


def test_put_behaviour_sets_all_of_it(sandbox: Sandbox) -> None:
    assert sandbox.behave(webhookCopies=2) == GOOD_BEHAVIOUR | {"webhookCopies": 2}

    assert sandbox.behave(dropWebhooks=3) == GOOD_BEHAVIOUR | {"dropWebhooks": 3}
    assert sandbox.get("/v1/behaviour") == GOOD_BEHAVIOUR | {"dropWebhooks": 3}


@pytest.mark.parametrize(
    "fields",
    [
        {"answerDelaySeconds": 0.25},
        {"answerDelaySeconds": 60},
        {"failRequests": 1000},
        {"timeOutAfterActing": 1000},
        {"webhookDelaySeconds": 3600},
        {"webhookCopies": 10},
        {"reverseWebhooks": 20},
        {"dropWebhooks": 1000},
        {"refundOutcome": "pending"},
        {"refundOutcome": "failed"},
        GOOD_BEHAVIOUR,
    ],
)
def test_put_behaviour_takes_what_is_within_the_limits(
    sandbox: Sandbox, fields: dict[str, Any]
) -> None:
    assert sandbox.behave(**fields) == GOOD_BEHAVIOUR | fields


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"answerDelaySeconds": 60.1}', "a number of seconds from 0 to 60."),
        ('{"answerDelaySeconds": -0.1}', "a number of seconds from 0 to 60."),
        ('{"answerDelaySeconds": NaN}', "a number of seconds from 0 to 60."),
        ('{"answerDelaySeconds": true}', "a number of seconds from 0 to 60."),
        ('{"answerDelaySeconds": "1"}', "a number of seconds from 0 to 60."),
        ('{"failRequests": 1001}', "a whole number from 0 to 1000."),
        ('{"failRequests": -1}', "a whole number from 0 to 1000."),
        ('{"failRequests": null}', "a whole number from 0 to 1000."),
        ('{"timeOutAfterActing": 1001}', "a whole number from 0 to 1000."),
        ('{"timeOutAfterActing": 1.0}', "a whole number from 0 to 1000."),
        ('{"webhookDelaySeconds": 3601}', "a number of seconds from 0 to 3600."),
        ('{"webhookDelaySeconds": Infinity}', "a number of seconds from 0 to 3600."),
        ('{"webhookCopies": 0}', "a whole number from 1 to 10."),
        ('{"webhookCopies": 11}', "a whole number from 1 to 10."),
        ('{"reverseWebhooks": 21}', "a whole number from 0 to 20."),
        ('{"dropWebhooks": 1001}', "a whole number from 0 to 1000."),
        ('{"refundOutcome": "lost"}', "one of succeeded, pending, failed."),
        ('{"refundOutcome": []}', "one of succeeded, pending, failed."),
    ],
)
def test_put_behaviour_names_the_wrong_field(sandbox: Sandbox, body: str, message: str) -> None:
    sandbox.behave(webhookCopies=2)

    answer = sandbox.request("PUT", "/v1/behaviour", content=body)

    [field] = json.loads(body)
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": {"code": "invalid_request", "message": f"{field} must be {message}"}},
    )
    assert sandbox.get("/v1/behaviour") == GOOD_BEHAVIOUR | {"webhookCopies": 2}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "The body must be JSON in UTF-8."),
        ("[]", "The body must be a JSON object."),
        ('{"webhookCopy": 2}', "Unknown field: webhookCopy."),
    ],
)
def test_put_behaviour_says_what_it_cannot_read(sandbox: Sandbox, body: str, message: str) -> None:
    answer = sandbox.request("PUT", "/v1/behaviour", content=body)

    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_behaviour_needs_the_api_key(sandbox: Sandbox, method: str) -> None:
    answer = httpx.request(method, f"{sandbox.url}/v1/behaviour", trust_env=False)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_behaviour_outlives_a_kill(tmp_path: Path) -> None:
    wanted = {
        "answerDelaySeconds": 0.5,
        "failRequests": 2,
        "timeOutAfterActing": 3,
        "webhookDelaySeconds": 4.5,
        "webhookCopies": 5,
        "reverseWebhooks": 6,
        "dropWebhooks": 7,
        "refundOutcome": "pending",
    }
    with running_sandbox(tmp_path / "s.sqlite3") as sandbox:
        sandbox.behave(**wanted)
        sandbox.request("GET", "/v1/payments?reference=x")
        assert sandbox.kill() == -9

    with running_sandbox(tmp_path / "s.sqlite3") as sandbox:
        assert sandbox.get("/v1/behaviour") == wanted | {"failRequests": 1}


# The API


def test_fail_requests_refuses_the_next_ones_and_does_nothing(sandbox: Sandbox) -> None:
    sandbox.behave(failRequests=2)

    answers = [sandbox.create("fail", order()) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 201]
    assert answers[0].headers["Retry-After"] == "1"
    assert answers[0].json()["error"]["code"] == "unavailable"
    assert sandbox.get("/v1/behaviour") == GOOD_BEHAVIOUR


def test_fail_requests_counts_only_the_merchants(sandbox: Sandbox) -> None:
    sandbox.behave(failRequests=1)

    stranger = httpx.get(f"{sandbox.url}/v1/payments?reference=x", trust_env=False)

    assert stranger.status_code == 401
    assert sandbox.get("/v1/behaviour") == GOOD_BEHAVIOUR | {"failRequests": 1}
    assert sandbox.request("GET", "/v1/payments?reference=x").status_code == 503


def test_time_out_after_acting_acts_and_never_answers(sandbox: Sandbox) -> None:
    sandbox.behave(timeOutAfterActing=1)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        sandbox.create("silent", order())

    answer = sandbox.create("silent", order())
    assert (answer.status_code, answer.headers["Idempotency-Replayed"]) == (200, "true")


def test_time_out_after_acting_hides_an_error_too(sandbox: Sandbox) -> None:
    sandbox.behave(timeOutAfterActing=1)

    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.request("GET", "/v1/refunds/re_0")

    assert sandbox.request("GET", "/v1/refunds/re_0").status_code == 404


def test_a_failed_request_is_answered(sandbox: Sandbox) -> None:
    sandbox.behave(failRequests=1, timeOutAfterActing=1)

    assert sandbox.create("both", order()).status_code == 503
    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.create("both", order())
    assert sandbox.create("both", order()).status_code == 200


def test_a_delayed_answer_comes_after_acting(sandbox: Sandbox) -> None:
    sandbox.behave(answerDelaySeconds=60)

    with pytest.raises(httpx.ReadTimeout):
        sandbox.request("POST", "/v1/checkout-sessions", timeout=0.3, **request("slow"))

    sandbox.behave(answerDelaySeconds=0.1)
    assert sandbox.create("slow", order()).status_code == 200


def request(key: str) -> dict[str, Any]:
    return {"json": order(), "headers": {"Idempotency-Key": key}}


def test_pages_behave_well_whatever_the_api_does(sandbox: Sandbox, receiver: Receiver) -> None:
    session = sandbox.create("page", order(receiver.url)).json()
    sandbox.behave(failRequests=1, timeOutAfterActing=1, answerDelaySeconds=60)

    assert post(f"{session['url']}/pay").status_code == 303
    assert told(receiver, 1) == ["paid"]
