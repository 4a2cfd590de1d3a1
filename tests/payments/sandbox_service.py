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
ROOT = Path(__file__).resolve().parents[2]
SUCCESS_URL = "http://shop.example:8000/paid?a=1&b=2"
PATIENCE = 20  # seconds before a test gives up; nothing is expected to take as long


class Sandbox:
    """A running `python -m payments.sandbox` and its API."""

    def __init__(self, database: Path) -> None:
        command = [sys.executable, "-m", "payments.sandbox", "--port", "0"]
        with database.with_suffix(".log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--database", str(database)],
                cwd=ROOT,
                env=os.environ | {"SANDBOX_API_KEY": API_KEY, "SANDBOX_WEBHOOK_SECRET": SECRET},
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
        return self._request("POST", "/v1/checkout-sessions", content=content, headers=headers)

    def get(self, path: str) -> Any:
        answer = self._request("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def payments(self, reference: str) -> list[Any]:
        found: list[Any] = self.get(f"/v1/payments?reference={reference}")["data"]
        return found

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {API_KEY}"} | options.pop("headers", {})
        return httpx.request(method, self.url + path, headers=headers, trust_env=False, **options)


@contextmanager
def running_sandbox(database: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(database)
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

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
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


def post(url: str) -> httpx.Response:
    return httpx.post(url, trust_env=False)


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


def verified(request: tuple[Message, bytes]) -> Any:
    headers, body = request
    return Webhook(SECRET).verify(body, dict(headers))
