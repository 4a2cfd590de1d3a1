"""What the OpenAPI document says beyond what drf-spectacular finds by itself."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How to sign in with the session of the student pages; drf-spectacular finds it by itself."""

    target_class = "accounts.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "The session of the student pages; POST needs the header X-CSRFToken.",
        }


PROBLEM = {
    "type": "object",
    "description": "An error, as RFC 9457 has it.",
    "required": ["type", "title", "status", "detail", "instance", "requestId"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer to the field."},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}

# Which errors an operation can answer with, by operationId.
ERRORS = {
    "register": {400: "Invalid input.", 415: "Not JSON."},
    "obtainToken": {400: "Invalid input.", 401: "Wrong address or password.", 415: "Not JSON."},
    "refreshToken": {400: "Invalid input.", 401: "The token is not valid.", 415: "Not JSON."},
    "listApplications": {401: "Not signed in.", 404: "No such page."},
    "retrieveApplication": {401: "Not signed in.", 404: "Not there, or not yours."},
    "retrieveStatus": {401: "Not signed in.", 404: "Not there, or not yours."},
    "submitApplication": {
        400: "Invalid input: a field, a file's type, too many files, a bad key.",
        401: "Not signed in.",
        403: "Not allowed, for example to set a priority.",
        409: "The first request with this key is still running; see Retry-After.",
        411: "The body was sent in chunks, without its Content-Length.",
        413: "A file, or all of it, is too large.",
        415: "Not multipart/form-data.",
        422: "The key was used for other content before.",
        503: (
            "Too much is waiting, there is no room for documents, or the database can't be "
            "reached; see Retry-After."
        ),
    },
    "replaceDocument": {
        400: "Invalid input: the file's type, not exactly one file, a bad key.",
        401: "Not signed in.",
        403: "Without a CSRF token, where a session is used.",
        404: "Not there, or not yours.",
        409: "The document needs no replacement (any more), or the key is in use; see Retry-After.",
        411: "The body was sent in chunks, without its Content-Length.",
        413: "The file is too large.",
        415: "Not multipart/form-data.",
        422: "The key was used for other content before.",
        503: (
            "Too much is waiting, there is no room for documents, or the database can't be "
            "reached; see Retry-After."
        ),
    },
    "withdrawApplication": {
        401: "Not signed in.",
        403: "Without a CSRF token, where a session is used.",
        404: "Not there, or not yours.",
        409: "The application is complete.",
    },
    "downloadDocument": {
        401: "Not signed in.",
        403: "Staff without the permission to download documents.",
        404: "Not there, or not yours.",
        409: "No malware scanner has found the document clean.",
    },
    "openCheckout": {
        401: "Not signed in.",
        403: "Without a CSRF token, where a session is used.",
        404: "Not there, or not yours.",
        409: "There is nothing to pay (yet, or any more).",
        502: "The payment provider can't be reached; try again.",
    },
    "receiveWebhook": {400: "The signature or the event is not valid.", 404: "No such provider."},
}
# Errors that every operation can answer with.
ANY_OPERATION = {503: "The database can't be reached; see Retry-After."}


def document_problems(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Add the problem responses of every operation (setting POSTPROCESSING_HOOKS)."""
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in result["paths"].values():
        for operation in operations.values():
            errors = {**ERRORS[operation["operationId"]], **ANY_OPERATION}
            for status, description in errors.items():
                response = {"description": description, "content": content}
                operation["responses"].setdefault(str(status), response)
    return result
