"""Replacing a document at a browser: what is wrong comes back on the status page, at the document."""

from __future__ import annotations

import uuid

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from accounts.requests import request_id, signed_in_user
from applications import idempotency, intake, read_model, selectors
from applications.exceptions import (
    InvalidKey,
    InvalidSubmission,
    KeyInUse,
    KeyReused,
    NotReplaceable,
    Overloaded,
    TooLarge,
)
from applications.pages.form_body import UnreadableForm, read_form
from applications.pages.status import Refusal, show_status
from applications.validation import Draft


@csrf_exempt  # checked by _replace, once it is clear that the body can be parsed
@require_http_methods(["GET", "POST"])
def replacement(
    request: HttpRequest, application_id: uuid.UUID, file_id: uuid.UUID
) -> HttpResponse:
    """Take in the new version of a document; who only looks is led to the status page."""
    status_url = reverse("application-status", args=[application_id])
    if not request.user.is_authenticated:
        return redirect_to_login(status_url)  # a file can't wait for the sign-in
    if request.method == "GET":
        return HttpResponseRedirect(status_url)
    selectors.own_file(signed_in_user(request), application_id, file_id)
    try:
        read_form(request)
    except UnreadableForm as error:
        return _refuse(
            request, application_id, file_id, error.message, status=error.status, wait=error.wait
        )
    return _replace(request, application_id, file_id)


@csrf_protect
def _replace(request: HttpRequest, application_id: uuid.UUID, file_id: uuid.UUID) -> HttpResponse:
    student = signed_in_user(request)
    draft = Draft.from_form(request.POST, request.FILES, field="file")
    try:
        key = idempotency.read_key(request.POST.get("idempotencyKey") or None)
        accepted = intake.replace_file(
            application_id=application_id,
            file_id=file_id,
            draft=draft,
            claim=idempotency.claim_for(student, key, draft, route=f"POST {request.path}"),
            request_id=request_id(request),
        )
    except InvalidSubmission as error:
        messages = [field_error.detail for field_error in error.errors]
        return _refuse(request, application_id, file_id, *messages, status=400)
    except (TooLarge, NotReplaceable) as error:
        return _refuse(request, application_id, file_id, error.detail, status=error.status_code)
    except Overloaded as error:
        status = error.status_code
        return _refuse(
            request, application_id, file_id, error.detail, status=status, wait=error.wait
        )
    except (KeyInUse, KeyReused, InvalidKey) as error:
        text = _("This form was sent before. Pick the file again if it is still to be replaced.")
        return _refuse(request, application_id, file_id, text, status=error.status_code)
    return HttpResponseRedirect(accepted.answer["statusUrl"], status=303)


def _refuse(
    request: HttpRequest,
    application_id: uuid.UUID,
    file_id: uuid.UUID,
    *messages: object,
    status: int,
    wait: int | None = None,
) -> HttpResponse:
    """Answer with the status page as it is now, and what was wrong at the document."""
    view = read_model.get_visible(application_id, signed_in_user(request))
    if view is None:
        raise Http404
    response = show_status(request, view, refusal=Refusal(str(file_id), messages))
    response.status_code = status
    if wait is not None:
        response["Retry-After"] = str(wait)
    return response
