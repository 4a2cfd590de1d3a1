"""The API for who tries things out: how the sandbox is to misbehave. It answers always well."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from payments.sandbox.behaviour import Behaviour
from payments.sandbox.exchange import ApiError, Request, Response, Sandbox, json_response
from payments.sandbox.merchant import with_api_key
from payments.sandbox.validation import BEHAVIOUR_FIELDS, Invalid, parse_behaviour


@with_api_key
def get_behaviour(sandbox: Sandbox, request: Request) -> Response:
    """Answer with the behaviour; what counts down is as many as are left."""
    return _response(sandbox.store.behaviour())


@with_api_key
def put_behaviour(sandbox: Sandbox, request: Request) -> Response:
    """Behave as the body says from now on; a field that isn't there gets its default."""
    try:
        wanted = parse_behaviour(request.body)
    except Invalid as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", str(error)) from error
    sandbox.store.set_behaviour(wanted)
    sandbox.sender.wake()  # this may have let events go, and settled refunds
    return _response(wanted)


def _response(behaviour: Behaviour) -> Response:
    values = asdict(behaviour)
    return json_response(
        HTTPStatus.OK, {name: values[field] for name, field in BEHAVIOUR_FIELDS.items()}
    )
