"""The API for merchants: JSON, with the API key as bearer token."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Any

from payments.sandbox.exchange import ApiError, Request, Response, Sandbox, json_response
from payments.sandbox.records import Payment, Session, iso
from payments.sandbox.store import IdempotencyMismatch
from payments.sandbox.validation import Invalid, fingerprint, parse_new_session

LONGEST_KEY = 255


def health(sandbox: Sandbox, request: Request) -> Response:
    return json_response(HTTPStatus.OK, {"status": "ok"})


def create_session(sandbox: Sandbox, request: Request) -> Response:
    """Make a session, or give the same one again to the same key and request."""
    _check_api_key(sandbox, request)
    key = request.headers.get("Idempotency-Key", "").strip()
    if not 0 < len(key) <= LONGEST_KEY:
        message = f"Send an Idempotency-Key of 1 to {LONGEST_KEY} characters."
        raise ApiError(HTTPStatus.BAD_REQUEST, "idempotency_key_required", message)
    try:
        new = parse_new_session(request.body)
    except Invalid as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", str(error)) from error
    try:
        session, created = sandbox.store.create_session(
            new, idempotency_key=key, fingerprint=fingerprint(new)
        )
    except IdempotencyMismatch as error:
        message = "This Idempotency-Key was used for another request."
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_mismatch", message) from error
    body = _session_as_json(sandbox, request, session)
    if not created:
        return json_response(HTTPStatus.OK, body, {"Idempotency-Replayed": "true"})
    sandbox.sender.wake()  # this session may end before anything else that it waits for
    return json_response(HTTPStatus.CREATED, body)


def get_session(sandbox: Sandbox, request: Request) -> Response:
    _check_api_key(sandbox, request)
    session = sandbox.store.get_session(request.session_id)
    if session is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "not_found", "There is no such session.")
    return json_response(HTTPStatus.OK, _session_as_json(sandbox, request, session))


def list_payments(sandbox: Sandbox, request: Request) -> Response:
    """List the payments of a `reference`, also failed ones unless `status` says otherwise."""
    _check_api_key(sandbox, request)
    reference = request.query.get("reference")
    if not reference:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", "Say which reference.")
    payments = sandbox.store.payments(reference=reference, status=request.query.get("status"))
    return json_response(HTTPStatus.OK, {"data": [_payment_as_json(each) for each in payments]})


def _check_api_key(sandbox: Sandbox, request: Request) -> None:
    expected = f"Bearer {sandbox.api_key}".encode()
    given = request.headers.get("Authorization", "").encode(errors="replace")
    if not hmac.compare_digest(given, expected):
        raise ApiError(HTTPStatus.UNAUTHORIZED, "unauthorized", "The API key isn't right.")


def _base_url(sandbox: Sandbox, request: Request) -> str:
    if sandbox.public_url:
        return sandbox.public_url.rstrip("/")
    if host := request.headers.get("Host"):
        return f"http://{host}"
    raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", "Send a Host header.")


def _session_as_json(sandbox: Sandbox, request: Request, session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "url": f"{_base_url(sandbox, request)}/checkout/{session.id}",
        "status": session.status,
        "amount": session.amount,
        "currency": session.currency,
        "reference": session.reference,
        "expiresAt": iso(session.expires_at),
        "paidAt": None if session.paid_at is None else iso(session.paid_at),
        "paymentId": session.payment_id,
    }


def _payment_as_json(payment: Payment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "sessionId": payment.session_id,
        "reference": payment.reference,
        "amount": payment.amount,
        "currency": payment.currency,
        "status": payment.status,
        "createdAt": iso(payment.created_at),
    }
