"""The form for an application."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from accounts.requests import request_id, signed_in_user
from applications import idempotency, intake
from applications.exceptions import (
    InvalidKey,
    InvalidSubmission,
    KeyInUse,
    KeyReused,
    Overloaded,
    TooLarge,
)
from applications.pages.form_body import UnreadableForm, read_form
from applications.validation import TOO_MANY_FILES, Draft

FIELDS = {"personalStatement", "files"}


@login_required
@csrf_exempt  # checked by _apply, once it is clear that the body can be parsed
@require_http_methods(["GET", "POST"])
def apply(request: HttpRequest) -> HttpResponse:
    """The form for an application; with JavaScript it is sent to the API instead."""
    if request.method == "POST":
        try:
            read_form(request)
        except UnreadableForm as error:
            return _unread_form(request, error)
    return _apply(request)


@csrf_protect
def _apply(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _form(request, Draft("", []), {})
    student = signed_in_user(request)
    draft = Draft.from_form(request.POST, request.FILES)
    try:
        key = idempotency.read_key(request.POST.get("idempotencyKey") or None)
        accepted = intake.submit(
            student=student,
            draft=draft,
            claim=idempotency.claim_for(student, key, draft),
            request_id=request_id(request),
        )
    except InvalidSubmission as error:
        return _form(request, draft, _by_field(error), status=400)
    except TooLarge as error:
        return _form(request, draft, {"files": [error.detail]}, status=413)
    except Overloaded as error:
        answer = _form(request, draft, {"form": [error.detail]}, status=error.status_code)
        return _come_back(answer, error.wait)
    except (KeyInUse, KeyReused, InvalidKey) as error:
        texts = _texts()
        text = texts["alreadySent"] if isinstance(error, KeyReused) else texts["unfinished"]
        return _form(request, draft, {"form": [text]}, status=error.status_code)
    return redirect(accepted.answer["statusUrl"])


def _come_back(response: HttpResponse, seconds: int) -> HttpResponse:
    response["Retry-After"] = str(seconds)
    return response


def _by_field(error: InvalidSubmission) -> dict[str, list[Any]]:
    errors: dict[str, list[Any]] = {}
    for field_error in error.errors:
        field = field_error.field if field_error.field in FIELDS else "form"
        errors.setdefault(field, []).append(field_error.detail)
    return errors


def _unread_form(request: HttpRequest, error: UnreadableForm) -> HttpResponse:
    """The form after a body that was not read: only the browser still has the text."""
    hint = _("Go back in your browser to find your text again.")
    errors = {"form": [hint], "files": [error.message]}
    answer = _form(request, Draft("", []), errors, status=error.status)
    return answer if error.wait is None else _come_back(answer, error.wait)


def _form(
    request: HttpRequest, draft: Draft, errors: Mapping[str, list[Any]], *, status: int = 200
) -> HttpResponse:
    context = {
        "statement": draft.personal_statement,
        "errors": errors,
        # A new key for every form that is shown: sending one form twice makes one application.
        "idempotency_key": uuid.uuid4(),
        "files_were_picked": bool(draft.files),
        "limits": {
            "files": settings.MAX_FILES,
            "fileBytes": settings.MAX_FILE_BYTES,
            "totalBytes": settings.MAX_TOTAL_FILE_BYTES,
        },
        "texts": _texts(),
    }
    return render(request, "applications/apply.html", context, status=status)


def _texts() -> dict[str, str]:
    """What the form's script says where there is no answer of the server to show."""
    return {
        "unreachable": _(
            "We can't reach the server. Your text and files are still here: try again."
        ),
        "signedOut": _("You are signed out. Sign in in another tab, then send this form again."),
        "unfinished": _("We are still taking in what you sent before. Send it again in a moment."),
        "alreadySent": _("You have sent this form before. Send it again for another application."),
        "tooMany": str(TOO_MANY_FILES),
        "fileTooLarge": _("This file is too large."),
        "wrongType": _("This is not a PDF, JPEG or PNG file."),
        "togetherTooLarge": _("The files are too large together."),
        "repair": _("Remove the files that can't be sent."),
        "sending": _("Sending …"),
        "added": _("Added:"),
        "removed": _("Removed:"),
    }
