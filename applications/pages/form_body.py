"""Reading the body of a form with files, as strictly as the API reads its own."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.request import Request

from applications.admission import check_disk
from applications.exceptions import StorageFull, TooLarge
from applications.parsers import SubmissionParser
from applications.validation import TOO_MANY_FILES, check_content_length


class UnreadableForm(Exception):
    """Nothing of the form was taken in; `message` says why.

    `status` is that of the answer, `wait` the seconds for its Retry-After if there is one.
    """

    def __init__(self, message: Any, *, status: int, wait: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.wait = wait


def read_form(request: HttpRequest) -> None:
    """Parse the body into `request.POST` and `request.FILES`; raises `UnreadableForm`.

    For views that check the CSRF token afterwards: that check would have the body parsed by
    Django, which takes one that breaks off for one with fewer files.
    """
    try:
        check_content_length(request.META.get("CONTENT_LENGTH"))
        check_disk()
        _parse(request)
    except StorageFull as error:
        raise UnreadableForm(error.detail, status=error.status_code, wait=error.wait) from error
    except (TooLarge, RequestDataTooBig) as error:
        raise UnreadableForm(_("All of it together is too large."), status=413) from error
    except ValidationError as error:
        raise UnreadableForm(TOO_MANY_FILES, status=400) from error
    except ParseError as error:
        message = _("Not all of it arrived. Send it again.")
        raise UnreadableForm(message, status=400) from error


def _parse(request: HttpRequest) -> None:
    if request.content_type == "multipart/form-data":
        Request(request, parsers=[SubmissionParser()]).POST  # noqa: B018 - it is kept in `request`
    else:
        request.POST  # noqa: B018
