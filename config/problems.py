"""Errors of the API as RFC 9457 problem documents, whoever raises them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.exceptions import PermissionDenied as NotPermitted
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from accounts.requests import wants_page

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
# What a person is told; a client gets HTTP's own phrase.
PAGE_TITLES = {
    400: gettext_lazy("We did not understand this"),
    403: gettext_lazy("This is not allowed"),
    404: gettext_lazy("There is no such page"),
    500: gettext_lazy("Something went wrong"),
}


class DatabaseUnavailable(APIException):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = gettext_lazy("The database can't be reached. Repeat the request in a moment.")
    default_code = "database_unavailable"
    wait = 2  # seconds; becomes Retry-After


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer what a DRF view raised, as `_error_response` does (setting EXCEPTION_HANDLER)."""
    if isinstance(exc, (OperationalError, InterfaceError)):
        logger.error("database is away error=%s", exc)
        exc = DatabaseUnavailable()
    response = drf_exception_handler(exc, context)
    if response is None:
        return None
    code, detail, errors = _describe(exc, response)
    answer = _error_response(
        context["request"], response.status_code, detail, code=code, errors=errors
    )
    for name in {"WWW-Authenticate", "Retry-After"} & set(response.headers):
        answer[name] = response[name]
    return answer


def _describe(exc: Exception, response: Response) -> tuple[str, str, list[dict[str, str]]]:
    if isinstance(exc, ValidationError):
        errors = list(_field_errors(exc.detail))
        return "invalid", _("The request is not valid; `errors` says where."), errors
    if isinstance(exc, APIException):
        codes = exc.get_codes()
        code = codes if isinstance(codes, str) else exc.default_code
        detail = exc.detail
        text = detail if isinstance(detail, str) else (detail or {}).get("detail", "")  # type: ignore[union-attr] # simplejwt raises a dict
        return code, str(text or exc.default_detail), []
    if isinstance(exc, PermissionDenied):  # Django's own
        return NotPermitted.default_code, str(NotPermitted.default_detail), []
    return HTTPStatus(response.status_code).name.lower(), _phrase(response.status_code), []


def _field_errors(detail: Any, path: tuple[str, ...] = ()) -> Iterator[dict[str, str]]:
    """Flatten DRF's nested errors into a list with JSON pointers (RFC 6901)."""
    if isinstance(detail, ErrorDetail):
        parts = (part.replace("~", "~0").replace("/", "~1") for part in path)
        pointer = "".join(f"/{part}" for part in parts if part != "non_field_errors")
        yield {"pointer": pointer, "code": str(detail.code), "detail": str(detail)}
    elif isinstance(detail, Mapping):
        for key, value in detail.items():
            yield from _field_errors(value, (*path, str(key)))
    else:
        for value in detail:
            yield from _field_errors(value, path)


def problem(
    request: Any,
    *,
    status: int,
    code: str,
    detail: str,
    errors: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Return a problem document; `errors` is there for invalid input only."""
    body: dict[str, Any] = {
        "type": f"urn:sluice:problem:{code}",
        "title": _phrase(status),
        "status": status,
        "detail": detail,
        "instance": request.path,
        "requestId": getattr(request, "request_id", ""),
    }
    return {**body, "errors": errors} if errors else body


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _error_response(
    request: Any,
    status: int,
    detail: str,
    *,
    code: str | None = None,
    errors: list[dict[str, str]] | None = None,
) -> HttpResponse:
    """Answer an error: a page for a browser, a problem for everybody else."""
    if wants_page(request):
        title = PAGE_TITLES.get(status, _phrase(status))
        context = {"title": title, "detail": detail, "status": status}
        # DRF's request would authenticate again, and read the database, for the page's `user`.
        plain = getattr(request, "_request", request)
        return render(plain, "error.html", context, status=status)
    code = code or HTTPStatus(status).name.lower()
    body = problem(request, status=status, code=code, detail=detail, errors=errors)
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error_response(request, 400, _("The request can't be understood."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error_response(request, 403, _("You may not do this."))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error_response(request, 404, _("There is nothing at this address."))


def server_error(request: HttpRequest) -> HttpResponse:
    return _error_response(request, 500, _("Something went wrong on our side; it has been noted."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid token (setting CSRF_FAILURE_VIEW)."""
    detail = _("The form has expired. Go back, load the page again and send it once more.")
    return _error_response(request, 403, detail)
