"""The sandbox as a real process, and a real receiver for its webhooks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks import Webhook

API_KEY = "test-key"
SECRET = "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM="
OTHER_SECRET = "whsec_c29tZSBvdGhlciBzZWNyZXQ="
ROOT = Path(__file__).resolve().parents[2]
SUCCESS_URL = "http://shop.example:8000/paid?a=1&b=2"
PATIENCE = 20  # seconds before a test gives up; nothing is expected to take as long

GOOD_BEHAVIOUR = {
    "answerDelaySeconds": 0,
    "failRequests": 0,
    "timeOutAfterActing": 0,
    "webhookDelaySeconds": 0,
    "webhookCopies": 1,
    "reverseWebhooks": 0,
    "dropWebhooks": 0,
    "refundOutcome": "succeeded",
}


class Sandbox:
    """A running `python -m payments.sandbox` and its API.

    Requests of this class are requests to the sandbox like others: what `behave` asks for becomes
    of them too.
    """

    def __init__(self, database: Path, secrets: str = SECRET) -> None:
        command = [sys.executable, "-m", "payments.sandbox", "--port", "0"]
        with database.with_suffix(".log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--database", str(database)],
                cwd=ROOT,
                env=os.environ | {"SANDBOX_API_KEY": API_KEY, "SANDBOX_WEBHOOK_SECRET": secrets},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def terminate(self) -> int:
        self.process.terminate()
        return self._ended()

    def kill(self) -> int:
        self.process.kill()
        return self._ended()

    def _ended(self) -> int:
        code = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def create(self, key: str, body: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key}
        content = json.dumps(body)
        return self.request("POST", "/v1/checkout-sessions", content=content, headers=headers)

    def expire(self, session_id: str) -> Any:
        """End a session, if it is open, and return it."""
        return self._content("POST", f"/v1/checkout-sessions/{session_id}/expire")

    def refund(
        self, key: str, payment_id: str, amount: int, reference: str = "refund-1", **more: Any
    ) -> httpx.Response:
        """Pay `amount` minor units back; the answer is an error or the refund."""
        body = {"paymentId": payment_id, "amount": amount, "reference": reference} | more
        headers = {"Idempotency-Key": key}
        return self.request("POST", "/v1/refunds", json=body, headers=headers)

    def behave(self, **fields: Any) -> Any:
        """Set the behaviour, all of it: a field that isn't named gets its default. Return it."""
        return self._content("PUT", "/v1/behaviour", json=fields)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request with the API key, and return the answer whatever it is."""
        headers = {"Authorization": f"Bearer {API_KEY}"} | options.pop("headers", {})
        return httpx.request(method, self.url + path, headers=headers, trust_env=False, **options)

    def get(self, path: str) -> Any:
        return self._content("GET", path)

    def payments(self, reference: str) -> list[Any]:
        """Return the payments made for a reference, oldest first, with what was paid back."""
        found: list[Any] = self.get(f"/v1/payments?reference={reference}")["data"]
        return found

    def _content(self, method: str, path: str, **options: Any) -> Any:
        answer = self.request(method, path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def running_sandbox(database: Path, secrets: str = SECRET) -> Iterator[Sandbox]:
    """Run the sandbox; `secrets` is its SANDBOX_WEBHOOK_SECRET."""
    sandbox = Sandbox(database, secrets)
    try:
        yield sandbox
    finally:
        if sandbox.process.poll() is None:
            sandbox.kill()


class Receiver(ThreadingHTTPServer):
    """Keeps every request; answers with the `statuses` in turn, then with the last one for ever."""

    daemon_threads = True

    def __init__(self, *statuses: int, port: int = 0, answer: bytes = b"") -> None:
        super().__init__(("127.0.0.1", port), _Record)
        self.statuses = list(statuses) or [200]
        self.answer = answer
        self.requests: list[tuple[Message, bytes]] = []
        self.arrived = threading.Condition()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def wait_for(self, count: int) -> list[tuple[Message, bytes]]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, PATIENCE)
            return list(self.requests)


class _Record(BaseHTTPRequestHandler):
    server: Receiver

    def do_GET(self) -> None:
        self._record()

    def do_POST(self) -> None:
        self._record()

    def _record(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with self.server.arrived:
            self.server.requests.append((self.headers, body))
            turn = min(len(self.server.requests), len(self.server.statuses)) - 1
            self.server.arrived.notify_all()
        self.send_response(self.server.statuses[turn])
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def receiving(*statuses: int, port: int = 0, answer: bytes = b"") -> Iterator[Receiver]:
    with Receiver(*statuses, port=port, answer=answer) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=[0.01])
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


def order(webhook_url: str = "http://127.0.0.1:9/", **changes: Any) -> dict[str, Any]:
    return {
        "reference": "application-1",
        "amount": 7550,
        "currency": "EUR",
        "description": "Application fee",
        "successUrl": SUCCESS_URL,
        "cancelUrl": "http://shop.example:8000/cancelled",
        "webhookUrl": webhook_url,
    } | changes


def post(url: str, **form: str) -> httpx.Response:
    """Send a form, as the hosted page does."""
    return httpx.post(url, data=form, trust_env=False)


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


def verified(request: tuple[Message, bytes], secret: str = SECRET) -> Any:
    headers, body = request
    return Webhook(secret).verify(body, dict(headers))


def told(receiver: Receiver, count: int) -> list[str]:
    """Return the types of the first events, "paid" for "checkout.paid", in the order they came."""
    requests = receiver.wait_for(count)
    return [verified(request)["type"].split(".")[1] for request in requests]
