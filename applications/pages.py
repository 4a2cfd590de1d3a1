"""The student's pages: my applications, apply, status."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import HttpResponseClientRedirect
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.request import Request

from accounts.requests import is_htmx, request_id, signed_in_user
from applications import idempotency, read_model, services
from applications.admission import check_disk
from applications.exceptions import (
    InvalidKey,
    InvalidSubmission,
    KeyInUse,
    KeyReused,
    Overloaded,
    StorageFull,
    TooLarge,
)
from applications.models import Application
from applications.parsers import SubmissionParser
from applications.polling import retry_after_seconds
from applications.presentation import present, present_list
from applications.validation import TOO_MANY_FILES, Draft, check_content_length

# htmx stops to poll when it gets this status.
STOP_POLLING = 286
LIST_LENGTH = 100
FIELDS = {"personalStatement", "files"}


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The first page: what this is, and the ways in."""
    if request.user.is_authenticated:
        return redirect("application-list")
    return render(request, "applications/home.html")


@require_GET
@login_required
def application_list(request: HttpRequest) -> HttpResponse:
    """My applications, newest first."""
    applications = Application.objects.filter(student=signed_in_user(request)).order_by(
        "-created_at", "-id"
    )
    context = {"applications": present_list(applications[:LIST_LENGTH])}
    return render(request, "applications/list.html", context)


@require_GET
def status(request: HttpRequest, application_id: uuid.UUID) -> HttpResponse:
    """The status page; for htmx only its changing part, and only if it has changed."""
    by_htmx = is_htmx(request)
    if not request.user.is_authenticated:
        to_sign_in = redirect_to_login(request.path)
        # htmx would swap the page that a plain redirect leads to into the status.
        return HttpResponseClientRedirect(to_sign_in.url) if by_htmx else to_sign_in
    view = read_model.get_visible(application_id, signed_in_user(request))
    if view is None:
        raise Http404
    pause = retry_after_seconds(view.document)
    if by_htmx and request.GET.get("since") == str(view.version):
        response = HttpResponse(status=204)
    else:
        context = {"application": present(view.document), "pause_seconds": pause}
        template = "applications/_status.html" if by_htmx else "applications/status.html"
        response = render(request, template, context)
    if pause is not None:
        response["Retry-After"] = str(pause)
    elif by_htmx:
        response.status_code = STOP_POLLING
    response["Cache-Control"] = "private, no-store"
    patch_vary_headers(response, ["Accept", "Cookie", "Accept-Language", "HX-Request"])
    return response


@login_required
@csrf_exempt  # checked by _apply, once it is clear that the body can be parsed
@require_http_methods(["GET", "POST"])
def apply(request: HttpRequest) -> HttpResponse:
    """The form for an application; with JavaScript it is sent to the API instead."""
    if request.method == "POST":
        try:
            check_content_length(request.META.get("CONTENT_LENGTH"))
            check_disk()
            _parse(request)
        except StorageFull as error:
            return _come_back(_unread_form(request, error.detail, status=503), error.wait)
        except (TooLarge, RequestDataTooBig):
            return _unread_form(request, _("All of it together is too large."), status=413)
        except ValidationError:
            return _unread_form(request, TOO_MANY_FILES, status=400)
        except ParseError:
            return _unread_form(request, _("Not all of it arrived. Send it again."), status=400)
    return _apply(request)


def _parse(request: HttpRequest) -> None:
    """Parse the body as the API does: Django takes one that breaks off for one with fewer files."""
    if request.content_type == "multipart/form-data":
        Request(request, parsers=[SubmissionParser()]).POST  # noqa: B018 - it is kept in `request`
    else:
        request.POST  # noqa: B018


@csrf_protect
def _apply(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _form(request, Draft("", []), {})
    student = signed_in_user(request)
    draft = Draft.from_form(request.POST, request.FILES)
    try:
        key = idempotency.read_key(request.POST.get("idempotencyKey") or None)
        accepted = services.submit(
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


def _unread_form(request: HttpRequest, message: Any, *, status: int) -> HttpResponse:
    """The form after a body that was not read: only the browser still has the text."""
    hint = _("Go back in your browser to find your text again.")
    errors = {"form": [hint], "files": [message]}
    return _form(request, Draft("", []), errors, status=status)


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
