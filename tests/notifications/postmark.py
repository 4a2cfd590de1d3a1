"""A small HTTP server that plays Postmark's API, as far as a mail needs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

ACCEPTED = (
    200,
    {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a", "To": "ada@example.com"},
)


@dataclass
class Postmark:
    """What the server answers every request, and the requests that it got."""

    url: str = ""
    status: int = ACCEPTED[0]
    answer: dict[str, Any] = field(default_factory=lambda: dict(ACCEPTED[1]))
    headers: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    mails: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def running_postmark() -> Iterator[Postmark]:
    """Run the server until the body ends."""
    postmark = Postmark()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
            body = self.rfile.read(int(self.headers["Content-Length"]))
            postmark.paths.append(self.path)
            postmark.tokens.append(self.headers["X-Postmark-Server-Token"])
            postmark.mails.append(json.loads(body))
            self.send_response(postmark.status)
            for name, value in postmark.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(postmark.answer).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    postmark.url = f"http://127.0.0.1:{server.server_port}/"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield postmark
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
