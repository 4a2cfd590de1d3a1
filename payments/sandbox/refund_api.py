"""The API for merchants: refunds."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from payments.sandbox import merchant
from payments.sandbox.exchange import ApiError, Request, Response, Sandbox, json_response
from payments.sandbox.merchant import misbehaving
from payments.sandbox.records import Refund, iso
from payments.sandbox.refunds import RefundTooLarge, UnknownPayment, WrongCurrency
from payments.sandbox.transaction import IdempotencyMismatch
from payments.sandbox.validation import Invalid, fingerprint, parse_new_refund


@misbehaving
def create_refund(sandbox: Sandbox, request: Request) -> Response:
    """Pay money back, or give the same refund again to the same key and request."""
    key = merchant.idempotency_key(request)
    try:
        new = parse_new_refund(request.body)
        refund, created = sandbox.store.create_refund(
            new, idempotency_key=key, fingerprint=fingerprint(new)
        )
    except Invalid as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", str(error)) from error
    except UnknownPayment as error:
        raise merchant.not_found("payment") from error
    except WrongCurrency as error:
        message = "The payment was made in another currency."
        raise ApiError(HTTPStatus.BAD_REQUEST, "wrong_currency", message) from error
    except RefundTooLarge as error:
        message = "More would be paid back than was captured, earlier refunds included."
        raise ApiError(HTTPStatus.BAD_REQUEST, "refund_too_large", message) from error
    except IdempotencyMismatch as error:
        raise merchant.mismatch() from error
    sandbox.sender.wake()
    return merchant.made(_as_json(refund), created=created)


@misbehaving
def get_refund(sandbox: Sandbox, request: Request) -> Response:
    refund = sandbox.store.get_refund(request.path_id)
    if refund is None:
        raise merchant.not_found("refund")
    return json_response(HTTPStatus.OK, _as_json(refund))


def _as_json(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        "paymentId": refund.payment_id,
        "sessionId": refund.session_id,
        "reference": refund.reference,
        "amount": refund.amount,
        "currency": refund.currency,
        "status": refund.status,
        "createdAt": iso(refund.created_at),
    }
