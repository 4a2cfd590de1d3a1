"""Stripe's API over HTTP, for the calls that Sluice makes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.payments.stripe_fake import params as parameters
from tests.payments.stripe_fake.errors import ApiError
from tests.payments.stripe_fake.faults import Faults
from tests.payments.stripe_fake.idempotency import MAX_KEY_LENGTH, Answer, Keys, encode
from tests.payments.stripe_fake.objects import new_id
from tests.payments.stripe_fake.store import Store

Act = Callable[[Store, str, dict[str, str]], Any]


@dataclass(frozen=True)
class Route:
    method: str
    path: str  # a pattern; its group is the id
    allowed: parameters.Allowed
    act: Act


ROUTES = [
    Route(
        "POST",
        r"/v1/checkout/sessions()",
        parameters.CREATE_SESSION,
        lambda store, _id, params: store.create_session(params),
    ),
    Route(
        "GET",
        r"/v1/checkout/sessions/(\w+)",
        parameters.LOOK_AT_SESSION,
        lambda store, id, params: store.expanded(store.session(id), params),
    ),
    Route(
        "POST",
        r"/v1/checkout/sessions/(\w+)/expire",
        parameters.LOOK_AT_SESSION,
        lambda store, id, params: store.expanded(store.expire_session(id), params),
    ),
    Route(
        "POST",
        r"/v1/refunds()",
        parameters.CREATE_REFUND,
        lambda store, _id, params: store.create_refund(params),
    ),
    Route(
        "GET",
        r"/v1/refunds/(\w+)",
        parameters.LOOK_AT_REFUND,
        lambda store, id, _params: store.refund(id),
    ),
]


class Server(ThreadingHTTPServer):
    """Serves a store on a free port of this machine."""

    daemon_threads = True
    block_on_close = False  # a request that is never answered must not keep the server

    def __init__(self, *, api_key: str, store: Store, faults: Faults) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.api_key = api_key
        self.store = store
        self.faults = faults
        self.keys = Keys()
        self.requests: list[tuple[str, str]] = []  # method and path
        self.headers: list[Message] = []  # of each request
        self.closing = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._serve(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def _serve(self, encoded: str) -> None:
        path = urlsplit(self.path).path
        self.server.requests.append((self.command, path))
        self.server.headers.append(self.headers)
        refusal = self.server.faults.refusal()
        if refusal is not None:
            self._send(Answer(refusal.status, encode(refusal.body)), refusal.headers)
            return
        try:
            answer = self._answer(path, encoded)
        except ApiError as error:
            answer = Answer(error.status, encode(error.body))
        if self.server.faults.is_silent():
            self.server.closing.wait()
        else:
            self._send(answer, {"Idempotent-Replayed": "true"} if answer.replayed else {})

    def _answer(self, path: str, encoded: str) -> Answer:
        self._authenticate()
        route, id = self._route(path)
        params = parameters.read(encoded, route.allowed)

        def act() -> Any:
            self.server.faults.before_acting()
            with self.server.store.lock:
                # A copy: it is written after the lock is given back.
                return deepcopy(route.act(self.server.store, id, params))

        if route.method == "GET":
            return Answer(200, encode(act()))
        key = self.headers.get("Idempotency-Key") or new_id("key")
        if len(key) > MAX_KEY_LENGTH:
            raise ApiError(400, "The idempotency key is too long", type="idempotency_error")
        return self.server.keys.answer(key, f"{route.method} {path}", params, act)

    def _authenticate(self) -> None:
        scheme, _, key = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or key != self.server.api_key:
            # Stripe leaves the end of a key readable. This names all of it: nobody may log it.
            raise ApiError(401, f"Invalid API Key provided: {key}")

    def _route(self, path: str) -> tuple[Route, str]:
        for route in ROUTES:
            match = re.fullmatch(route.path, path)
            if match and route.method == self.command:
                return route, match[1]
        raise ApiError(404, f"Unrecognized request URL ({self.command}: {path}).")

    def _send(self, answer: Answer, headers: dict[str, str]) -> None:
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Request-Id", new_id("req"))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass
