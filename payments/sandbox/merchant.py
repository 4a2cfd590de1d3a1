"""What all handlers of the API for merchants share: the key, demanded behaviour, repeats."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from http import HTTPStatus
from typing import Any

from payments.sandbox.exchange import (
    ApiError,
    Request,
    Response,
    Sandbox,
    error_response,
    json_response,
)

LONGEST_KEY = 255
RETRY_AFTER_SECONDS = 1

Handler = Callable[[Sandbox, Request], Response]


def with_api_key(handler: Handler) -> Handler:
    """Let only the merchant in: who sends the API key as bearer token."""

    @wraps(handler)
    def checked(sandbox: Sandbox, request: Request) -> Response:
        expected = f"Bearer {sandbox.api_key}".encode()
        given = request.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(given, expected):
            raise ApiError(HTTPStatus.UNAUTHORIZED, "unauthorized", "The API key isn't right.")
        return handler(sandbox, request)

    return checked


def misbehaving(handler: Handler) -> Handler:
    """Let only the merchant in, and answer as well or badly as was asked for."""

    @with_api_key
    @wraps(handler)
    def answered(sandbox: Sandbox, request: Request) -> Response:
        turn = sandbox.store.take_turn()
        try:
            response = _refused() if turn.is_refused else handler(sandbox, request)
        except ApiError as error:
            response = error_response(error)
        return replace(response, delay_seconds=turn.delay_seconds, is_lost=turn.is_lost)

    return answered


def idempotency_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "").strip()
    if not 0 < len(key) <= LONGEST_KEY:
        message = f"Send an Idempotency-Key of 1 to {LONGEST_KEY} characters."
        raise ApiError(HTTPStatus.BAD_REQUEST, "idempotency_key_required", message)
    return key


def mismatch() -> ApiError:
    """Return the error for a key that belongs to another request."""
    message = "This Idempotency-Key was used for another request."
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_mismatch", message)


def not_found(what: str) -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, "not_found", f"There is no such {what}.")


def made(body: dict[str, Any], *, created: bool) -> Response:
    """Answer with what this request made, or an earlier one with the same key."""
    if created:
        return json_response(HTTPStatus.CREATED, body)
    return json_response(HTTPStatus.OK, body, {"Idempotency-Replayed": "true"})


def _refused() -> Response:
    error = ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Try again in a moment.")
    response = error_response(error)
    headers = {**response.headers, "Retry-After": str(RETRY_AFTER_SECONDS)}
    return replace(response, headers=headers)
