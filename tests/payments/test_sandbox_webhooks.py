from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from payments.sandbox.records import NewSession
from payments.sandbox.store import Store
from payments.sandbox.webhooks import GIVE_UP_AFTER, Sender, backoff
from tests.payments.sandbox_service import (
    SECRET,
    Sandbox,
    order,
    post,
    receiving,
    running_sandbox,
    verified,
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox") / "sandbox.sqlite3") as sandbox:
        yield sandbox


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

        sender = Sender(store, SECRET)
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
