from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from payments.sandbox.records import NewSession
from payments.sandbox.store import Store
from payments.sandbox.webhooks import GIVE_UP_AFTER, Sender, backoff
from tests.payments.sandbox_service import (
    OTHER_SECRET,
    PATIENCE,
    ROOT,
    SECRET,
    Sandbox,
    order,
    post,
    receiving,
    running_sandbox,
    verified,
)

WRONG_SECRET = (
    'SANDBOX_WEBHOOK_SECRET must be "whsec_" and base64, or several of these with commas.'
)


def test_event_is_sent_again_until_it_is_accepted(sandbox: Sandbox) -> None:
    with receiving(500, 302, 429, 204) as receiver:
        session = sandbox.create("retry", order(receiver.url)).json()
        post(f"{session['url']}/pay")

        requests = receiver.wait_for(4)

    assert len({body for _, body in requests}) == 1
    assert {headers["webhook-id"] for headers, _ in requests} == {verified(requests[3])["id"]}
    assert [verified(request)["type"] for request in requests] == ["checkout.paid"] * 4


def test_event_waits_for_a_receiver_that_is_down(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    session = sandbox.create("down", order(f"http://127.0.0.1:{port}/hook")).json()
    post(f"{session['url']}/pay")

    with receiving(port=port) as receiver:
        [request] = receiver.wait_for(1)

    assert verified(request)["data"]["sessionId"] == session["id"]


@pytest.mark.parametrize(("end", "code"), [(Sandbox.terminate, 0), (Sandbox.kill, -9)])
def test_restart_goes_on_with_everything(
    tmp_path: Path, end: Callable[[Sandbox], int], code: int
) -> None:
    database = tmp_path / "sandbox.sqlite3"
    with receiving(503) as receiver:
        with running_sandbox(database) as sandbox:
            session = sandbox.create("restart", order(receiver.url)).json()
            post(f"{session['url']}/pay")
            refused = receiver.wait_for(1)[0]
            assert end(sandbox) == code
        receiver.statuses = [200]
        tried = len(receiver.requests)
        with running_sandbox(database) as sandbox:
            accepted = receiver.wait_for(tried + 1)[-1]

            assert accepted[1] == refused[1]
            assert sandbox.get(f"/v1/checkout-sessions/{session['id']}")["status"] == "paid"
            assert sandbox.create("restart", order(receiver.url)).json()["id"] == session["id"]
            assert len(sandbox.payments("application-1")) == 1


def test_termination_does_not_wait_for_a_hanging_receiver(tmp_path: Path) -> None:
    database = tmp_path / "sandbox.sqlite3"
    with socket.create_server(("127.0.0.1", 0)) as silent, running_sandbox(database) as sandbox:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        session = sandbox.create("hang", order(url)).json()
        post(f"{session['url']}/pay")
        connection, _ = silent.accept()  # the attempt is under way and stays so

        with connection:
            assert sandbox.terminate() == 0


@pytest.mark.parametrize(
    ("secrets", "signed_with"),
    [
        (SECRET, [SECRET]),
        (f"{OTHER_SECRET},{SECRET}", [OTHER_SECRET, SECRET]),
        (f" {SECRET} , {OTHER_SECRET},", [SECRET, OTHER_SECRET]),
    ],
)
def test_event_is_signed_with_every_secret(
    tmp_path: Path, secrets: str, signed_with: list[str]
) -> None:
    with receiving() as receiver, running_sandbox(tmp_path / "s.sqlite3", secrets) as sandbox:
        session = sandbox.create("secrets", order(receiver.url)).json()
        post(f"{session['url']}/pay")

        [request] = receiver.wait_for(1)

    assert len(request[0]["webhook-signature"].split()) == len(signed_with)
    for secret in signed_with:
        assert verified(request, secret)["data"]["sessionId"] == session["id"]


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        ("", "Set the environment variable SANDBOX_WEBHOOK_SECRET."),
        (",", WRONG_SECRET),
        ("whsec_", WRONG_SECRET),
        (f"{SECRET},whsec_\N{SNOWMAN}", WRONG_SECRET),
    ],
)
def test_start_with_a_wrong_secret_says_so(tmp_path: Path, secrets: str, message: str) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "payments.sandbox", "--port", "0"),
            *("--database", str(tmp_path / "s.sqlite3")),
        ],
        cwd=ROOT,
        env=os.environ | {"SANDBOX_API_KEY": "k", "SANDBOX_WEBHOOK_SECRET": secrets},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert (ended.returncode, ended.stderr) == (1, f"{message}\n")


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 0.2), (2, 0.4), (3, 0.8), (8, 25.6), (9, 30), (10_000, 30)]
)
def test_backoff_doubles_up_to_half_a_minute(attempts: int, seconds: float) -> None:
    assert backoff(attempts) == pytest.approx(seconds)


def test_sender_gives_up_after_three_days(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.sqlite3", clock=lambda: time.time() - GIVE_UP_AFTER - 1)
    with receiving(500) as receiver:
        session, _ = store.create_session(
            new_session(receiver.url), idempotency_key="k", fingerprint="f"
        )
        store.pay(session.id)

        sender = Sender(store, [SECRET])
        assert sender.send_due()
        assert not sender.send_due()
        assert sender.stop(timeout=1)

    assert json.loads(receiver.requests[0][1])["type"] == "checkout.paid"
    assert store.seconds_until_due() is None
    store.close()


def new_session(webhook_url: str) -> NewSession:
    return NewSession(
        reference="r",
        amount=1,
        currency="EUR",
        description="d",
        success_url="http://shop.example/",
        cancel_url="http://shop.example/",
        webhook_url=webhook_url,
        expires_in_seconds=60,
    )
