"""The API for merchants: checkout sessions and payments, as JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from payments.sandbox import merchant
from payments.sandbox.exchange import ApiError, Request, Response, Sandbox, json_response
from payments.sandbox.merchant import misbehaving
from payments.sandbox.records import Payment, Session, iso
from payments.sandbox.transaction import IdempotencyMismatch
from payments.sandbox.validation import Invalid, fingerprint, parse_new_session


def health(sandbox: Sandbox, request: Request) -> Response:
    return json_response(HTTPStatus.OK, {"status": "ok"})


@misbehaving
def create_session(sandbox: Sandbox, request: Request) -> Response:
    """Make a session, or give the same one again to the same key and request."""
    key = merchant.idempotency_key(request)
    try:
        new = parse_new_session(request.body)
        session, created = sandbox.store.create_session(
            new, idempotency_key=key, fingerprint=fingerprint(new)
        )
    except Invalid as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", str(error)) from error
    except IdempotencyMismatch as error:
        raise merchant.mismatch() from error
    sandbox.sender.wake()  # this session may end before anything else that it waits for
    return merchant.made(_session_as_json(sandbox, request, session), created=created)


@misbehaving
def get_session(sandbox: Sandbox, request: Request) -> Response:
    session = sandbox.store.get_session(request.path_id)
    return _session_response(sandbox, request, session)


@misbehaving
def expire_session(sandbox: Sandbox, request: Request) -> Response:
    """End an open session; one that has ended already, paid or not, is returned as it is."""
    session = sandbox.store.expire_session(request.path_id)
    sandbox.sender.wake()
    return _session_response(sandbox, request, session)


@misbehaving
def list_payments(sandbox: Sandbox, request: Request) -> Response:
    """List the payments of a `reference`, also failed ones unless `status` says otherwise."""
    reference = request.query.get("reference")
    if not reference:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", "Say which reference.")
    payments = sandbox.store.payments(reference=reference, status=request.query.get("status"))
    return json_response(HTTPStatus.OK, {"data": [_payment_as_json(each) for each in payments]})


def _base_url(sandbox: Sandbox, request: Request) -> str:
    if sandbox.public_url:
        return sandbox.public_url.rstrip("/")
    if host := request.headers.get("Host"):
        return f"http://{host}"
    raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", "Send a Host header.")


def _session_response(sandbox: Sandbox, request: Request, session: Session | None) -> Response:
    if session is None:
        raise merchant.not_found("session")
    return json_response(HTTPStatus.OK, _session_as_json(sandbox, request, session))


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
        "refundedAmount": payment.refunded,
        "currency": payment.currency,
        "status": payment.status,
        "createdAt": iso(payment.created_at),
    }
