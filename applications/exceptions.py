"""What can be wrong with a submission, and what the API answers then."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with one field; `index` counts within the files, from 0."""

    field: str
    code: str
    detail: str | Promise
    index: int | None = None


class InvalidSubmission(Exception):
    """The content of a submission is not acceptable; `errors` says everything that is wrong."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(errors)
        self.errors = errors


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = _("The request is too large.")
    default_code = "too_large"


class LengthRequired(APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = _("Send the body with its Content-Length, not in chunks.")
    default_code = "length_required"


class InvalidKey(ValidationError):
    default_detail = _("The Idempotency-Key must have 1 to 255 printable ASCII characters.")
    default_code = "invalid_idempotency_key"

    def __init__(self) -> None:
        super().__init__({"Idempotency-Key": [self.default_detail]})


class KeyInUse(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = _("A request with this Idempotency-Key is still being worked on.")
    default_code = "idempotency_key_in_use"
    wait = 2  # seconds; becomes Retry-After


class KeyReused(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = _("This Idempotency-Key was used for a request with other content.")
    default_code = "idempotency_key_reused"


class Overloaded(APIException):
    """`wait` is the seconds after which the backlog should have fallen; becomes Retry-After."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = _(
        "More applications are waiting than we can work off in time. Nothing was stored; "
        "send yours again later."
    )
    default_code = "overloaded"

    def __init__(self, *, wait: int) -> None:
        super().__init__()
        self.wait = wait


class StorageFull(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = _(
        "We have no room for more documents just now. Nothing was stored; send yours again later."
    )
    default_code = "storage_full"
    wait = settings.FULL_DISK_RETRY_SECONDS  # becomes Retry-After


class NotReplaceable(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = _("This document can't be replaced: it is fine, or was replaced already.")
    default_code = "not_replaceable"


class AlreadyCompleted(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = _("The application is complete and can't be withdrawn any more.")
    default_code = "already_completed"


class NotScanned(APIException):
    """Nobody downloads what no malware scanner has found clean."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = _("This document can't be downloaded: it was not scanned for malware.")
    default_code = "not_scanned"


class NothingToDecide(Exception):
    """The document waits for no decision of staff: not yet, or not any more."""
