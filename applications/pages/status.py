"""The status page: whole, as the part of it that changes, and with the refusal of a replacement."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRedirect

from accounts.requests import is_htmx, signed_in_user
from applications import read_model
from applications.pages.presentation import present
from applications.pages.wording import is_refund_to_come
from applications.polling import retry_after_seconds
from applications.read_model import StatusView

PAGE = "applications/status.html"
PART = "applications/_status.html"
# htmx stops to poll when it gets this status.
STOP_POLLING = 286


@dataclass(frozen=True)
class Refusal:
    """Why a new version of a document was not taken in: one sentence for each thing."""

    file_id: str
    messages: Sequence[Any]


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
    if by_htmx and request.GET.get("since") == str(view.version):
        response = HttpResponse(status=204)
    else:
        response = show_status(request, view, template=PART if by_htmx else PAGE)
    pause = pause_seconds(view.document)
    if pause is not None:
        response["Retry-After"] = str(pause)
    elif by_htmx:
        response.status_code = STOP_POLLING
    return response


def show_status(
    request: HttpRequest, view: StatusView, *, template: str = PAGE, refusal: Refusal | None = None
) -> HttpResponse:
    """Return the page, or with `template=PART` its changing part, for whoever may see it."""
    user = signed_in_user(request)
    known = {file["fileId"] for file in view.document["documents"]}
    context = {
        "application": present(view.document),
        "pause_seconds": pause_seconds(view.document),
        "is_own": view.student_id == str(user.pk),
        "refusal": refusal,
        # A document that was replaced meanwhile has no place on the page any more.
        "refusal_has_place": refusal is not None and refusal.file_id in known,
        # One for all forms of the page: a key counts for one address.
        "idempotency_key": uuid.uuid4(),
    }
    response = render(request, template, context)
    response["Cache-Control"] = "private, no-store"
    patch_vary_headers(response, ["Accept", "Cookie", "Accept-Language", "HX-Request"])
    return response


def pause_seconds(document: Mapping[str, Any]) -> int | None:
    """Return how long a page waits before it looks again; None when nothing will change.

    A client is done once the application has ended; a student also waits for the money.
    """
    if is_refund_to_come(document):
        return retry_after_seconds({**document, "terminal": False})
    return retry_after_seconds(document)
