"""Errors as Stripe answers them."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is an error. `executed` ones came up while acting, and stay with the key."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        details = {"code": code, "message": message, "param": param, "type": type}
        self.body: dict[str, Any] = {
            "error": {name: value for name, value in details.items() if value is not None}
        }


def missing(param: str) -> ApiError:
    return ApiError(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown(param: str) -> ApiError:
    return ApiError(
        400, f"Received unknown parameter: {param}", code="parameter_unknown", param=param
    )


def no_such(kind: str, id: str, param: str) -> ApiError:
    return ApiError(404, f"No such {kind}: '{id}'", code="resource_missing", param=param)
