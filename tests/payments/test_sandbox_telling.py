from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.payments.sandbox_service import (
    GOOD_BEHAVIOUR,
    Receiver,
    Sandbox,
    order,
    post,
    receiving,
    running_sandbox,
    told,
    verified,
)

pytestmark = pytest.mark.usefixtures("good_behaviour")


def act(sandbox: Sandbox, receiver: Receiver, *choices: str) -> None:
    """Make a session and choose these on its page, one after the other."""
    key = "-".join([str(receiver.server_port), *choices])
    session = sandbox.create(key, order(receiver.url, reference=key)).json()
    for choice in choices:
        post(f"{session['url']}/{choice}")


def test_copies_are_sent_one_after_the_other(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.behave(webhookCopies=3)
    act(sandbox, receiver, "decline")
    sandbox.behave()
    act(sandbox, receiver, "pay")

    requests = receiver.wait_for(4)

    assert told(receiver, 4) == ["declined", "declined", "declined", "paid"]
    assert len({body for _, body in requests}) == 2


@pytest.mark.parametrize(("statuses", "tried"), [([200, 500, 200], 4), ([500, 200], 3)])
def test_a_refused_copy_has_all_sent_again(
    sandbox: Sandbox, statuses: list[int], tried: int
) -> None:
    sandbox.behave(webhookCopies=2)

    with receiving(*statuses) as receiver:
        act(sandbox, receiver, "decline")
        receiver.wait_for(tried)
        act(sandbox, receiver, "pay")

        assert told(receiver, tried + 2) == ["declined"] * tried + ["paid"] * 2


def test_dropped_webhooks_never_come(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.behave(dropWebhooks=2)
    act(sandbox, receiver, "decline", "pay")

    act(sandbox, receiver, "decline")

    [request] = receiver.wait_for(1)
    assert verified(request)["data"]["reference"] == f"{receiver.server_port}-decline"


def test_reversed_webhooks_come_newest_first(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.behave(reverseWebhooks=3)

    act(sandbox, receiver, "decline", "decline", "pay")
    receiver.wait_for(3)
    act(sandbox, receiver, "decline", "pay")

    assert told(receiver, 5) == ["paid", "declined", "declined", "declined", "paid"]
    payments = sandbox.payments(f"{receiver.server_port}-decline-decline-pay")
    sent = [verified(request)["data"]["paymentId"] for request in receiver.wait_for(3)[:3]]
    assert sent == [payment["id"] for payment in reversed(payments)]
    assert sandbox.get("/v1/behaviour") == GOOD_BEHAVIOUR


def test_held_webhooks_are_let_go_by_the_next_behaviour(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    sandbox.behave(reverseWebhooks=3)
    act(sandbox, receiver, "decline", "pay")
    assert sandbox.get("/v1/behaviour") == GOOD_BEHAVIOUR | {"reverseWebhooks": 1}

    sandbox.behave()

    assert told(receiver, 2) == ["paid", "declined"]


def test_a_dropped_webhook_is_not_held(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.behave(dropWebhooks=1, reverseWebhooks=2, webhookCopies=2)

    act(sandbox, receiver, "decline", "decline", "pay")

    assert told(receiver, 4) == ["paid", "paid", "declined", "declined"]


def test_held_webhooks_outlive_a_kill(tmp_path: Path, receiver: Receiver) -> None:
    with running_sandbox(tmp_path / "s.sqlite3") as sandbox:
        sandbox.behave(reverseWebhooks=2)
        act(sandbox, receiver, "decline")
        assert sandbox.kill() == -9

    with running_sandbox(tmp_path / "s.sqlite3") as sandbox:
        act(sandbox, receiver, "pay")

        assert told(receiver, 2) == ["paid", "declined"]


def test_a_delayed_webhook_outlives_a_kill(tmp_path: Path, receiver: Receiver) -> None:
    database = tmp_path / "s.sqlite3"
    with running_sandbox(database) as sandbox:
        sandbox.behave(webhookDelaySeconds=3600, webhookCopies=2)
        act(sandbox, receiver, "pay")
        assert sandbox.kill() == -9
    assert receiver.requests == []
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE events SET next_attempt_at = next_attempt_at - 3600")  # an hour later

    with running_sandbox(database):
        assert told(receiver, 2) == ["paid", "paid"]
