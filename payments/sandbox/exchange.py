"""What handlers get and give, free of sockets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import Any

from payments.sandbox.store import Store
from payments.sandbox.webhooks import Sender


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """The running service. Checkout links start with `public_url`, or as the client reached us."""

    store: Store
    sender: Sender
    api_key: str
    public_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """`headers` looks names up in any case; `path_id` is the id in the path, or empty."""

    headers: Message
    query: Mapping[str, str]
    body: bytes
    path_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer, sent after `delay_seconds`; if `is_lost`, the connection is closed instead."""

    status: HTTPStatus
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    is_lost: bool = False


class ApiError(Exception):
    """Ends a request with an error answer: a `code` for programs, a `message` for people."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def json_response(
    status: HTTPStatus, body: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    all_headers = {"Content-Type": "application/json"} | (headers or {})
    return Response(status=status, body=json.dumps(body).encode(), headers=all_headers)


def error_response(error: ApiError) -> Response:
    return json_response(error.status, {"error": {"code": error.code, "message": error.message}})


def redirect(url: str) -> Response:
    """Send the browser on with a GET."""
    return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": url})
