"""The student's pages: my applications, apply, status."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import RequestDataTooBig, TooManyFilesSent
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods

from accounts.requests import request_id, signed_in_user
from applications import idempotency, read_model, services
from applications.exceptions import InvalidSubmission, KeyInUse, KeyReused, TooLarge
from applications.models import Application
from applications.presentation import present
from applications.validation import TOO_MANY_FILES, Draft, check_content_length

# htmx stops to poll when it gets this status.
STOP_POLLING = 286


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
    return render(request, "applications/list.html", {"applications": applications[:100]})


@require_GET
@login_required
def status(request: HttpRequest, application_id: uuid.UUID) -> HttpResponse:
    """The status page; for htmx only its changing part, and only if it has changed."""
    view = read_model.get_visible(application_id, signed_in_user(request))
    if view is None:
        raise Http404
    is_htmx = request.headers.get("HX-Request") == "true"
    if is_htmx and request.GET.get("since") == str(view.version):
        return HttpResponse(status=204)
    context = {"application": present(view.document)}
    template = "applications/_status.html" if is_htmx else "applications/status.html"
    response = render(request, template, context)
    if is_htmx and view.document["terminal"]:
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
            request.POST  # noqa: B018 - parses the body
        except (TooLarge, RequestDataTooBig):
            message = _("The files are too large.")
            return _form(request, Draft("", []), {"files": [message]}, status=413)
        except TooManyFilesSent:
            return _form(request, Draft("", []), {"files": [TOO_MANY_FILES]}, status=400)
    return _apply(request)


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
    except (KeyInUse, KeyReused) as error:
        return _form(request, draft, {"form": [error.detail]}, status=error.status_code)
    return redirect(accepted.answer["statusUrl"])


def _by_field(error: InvalidSubmission) -> dict[str, list[Any]]:
    errors: dict[str, list[Any]] = {}
    for field_error in error.errors:
        errors.setdefault(field_error.field, []).append(field_error.detail)
    return errors


def _form(
    request: HttpRequest, draft: Draft, errors: Mapping[str, list[Any]], *, status: int = 200
) -> HttpResponse:
    context = {
        "statement": draft.personal_statement,
        "errors": errors,
        # A new key for every form that is shown: sending one form twice makes one application.
        "idempotency_key": uuid.uuid4(),
        "files_were_picked": bool(draft.files),
        "texts": {
            "unreachable": _(
                "We can't reach the server. Nothing is lost: send it again in a moment."
            )
        },
    }
    return render(request, "applications/apply.html", context, status=status)
