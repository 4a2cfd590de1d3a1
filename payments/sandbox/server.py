"""HTTP: reads requests, finds their handlers, writes the answers."""

from __future__ import annotations

import logging
import re
import socketserver
import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from payments.sandbox import api, behaviour_api, checkout, refund_api
from payments.sandbox.exchange import ApiError, Request, Response, Sandbox, error_response
from payments.sandbox.merchant import Handler

logger = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
Route = tuple[str, re.Pattern[str], Handler]
ROUTES: tuple[Route, ...] = (
    ("GET", re.compile(r"/healthz"), api.health),
    ("POST", re.compile(r"/v1/checkout-sessions"), api.create_session),
    ("GET", re.compile(r"/v1/checkout-sessions/(?P<id>\w+)"), api.get_session),
    ("POST", re.compile(r"/v1/checkout-sessions/(?P<id>\w+)/expire"), api.expire_session),
    ("GET", re.compile(r"/v1/payments"), api.list_payments),
    ("POST", re.compile(r"/v1/refunds"), refund_api.create_refund),
    ("GET", re.compile(r"/v1/refunds/(?P<id>\w+)"), refund_api.get_refund),
    ("GET", re.compile(r"/v1/behaviour"), behaviour_api.get_behaviour),
    ("PUT", re.compile(r"/v1/behaviour"), behaviour_api.put_behaviour),
    ("GET", re.compile(r"/checkout/(?P<id>\w+)"), checkout.show),
    ("POST", re.compile(r"/checkout/(?P<id>\w+)/pay"), checkout.pay),
    ("POST", re.compile(r"/checkout/(?P<id>\w+)/decline"), checkout.decline),
)


class SandboxServer(ThreadingHTTPServer):
    daemon_threads = True  # an idle connection must not hold up the end
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        super().__init__(address, Connection)

    def server_bind(self) -> None:
        # Not HTTPServer's: it looks up the host's name, which can take seconds without a network.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        gone = isinstance(error, OSError)  # the client left: nobody is waiting for an answer
        logger.log(logging.DEBUG if gone else logging.ERROR, "connection failed", exc_info=error)


class Connection(BaseHTTPRequestHandler):
    """One client's connection, which may carry many requests."""

    server: SandboxServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "sandbox", ""
    timeout = 30  # seconds without a byte
    # Head and body leave in one packet; in two, the second can wait 40 ms for the first's ACK.
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        try:
            # The body first, also of a request that is refused: the next one follows it.
            response = self._handle(self._read_body())
        except ApiError as error:
            response = error_response(error)
        except OSError:
            raise
        except Exception:
            logger.exception("request failed")
            message = "Something went wrong here."
            response = error_response(
                ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", message)
            )
        time.sleep(response.delay_seconds)
        if response.is_lost:
            self.close_connection = True
            return
        self._send(response)

    def _handle(self, body: bytes) -> Response:
        url = urlsplit(self.path)
        allowed = []
        for method, pattern, handler in ROUTES:
            match = pattern.fullmatch(url.path)
            if match is None:
                continue
            if method == self.command:
                request = Request(
                    headers=self.headers,
                    query=dict(parse_qsl(url.query)),
                    body=body,
                    path_id=match.groupdict().get("id", ""),
                )
                return handler(self.server.sandbox, request)
            allowed.append(method)
        if allowed:
            message = f"Use {', '.join(allowed)}."
            raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message)
        raise ApiError(HTTPStatus.NOT_FOUND, "not_found", "There is nothing here.")

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not re.fullmatch("[0-9]{1,9}", length):
            self.close_connection = True
            raise ApiError(HTTPStatus.LENGTH_REQUIRED, "length_required", "Send Content-Length.")
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            message = f"A body has at most {LARGEST_BODY} bytes."
            raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", message)
        return self.rfile.read(int(length))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)
