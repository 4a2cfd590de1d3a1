"""Pictures of a document's pages, drawn in the sandbox: the document itself never gets out."""

from __future__ import annotations

import logging
import threading
import uuid
from datetime import timedelta

from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from accounts.requests import signed_in_user
from applications import documents
from applications.models import ApplicationFile, DocumentAccess
from applications.verification import sandbox

logger = logging.getLogger(__name__)

# For how long the browser that has asked for a picture may keep it.
MAX_AGE_SECONDS = 300
# A look at the page of a document covers the pictures that are asked for within this time.
LOOK = timedelta(hours=1)
# So many pages are drawn at a time in this process, which has other things to serve. A browser
# whose picture must wait is to ask again: waiting here would hold a thread as well.
MAX_RENDERINGS = 2
RETRY_SECONDS = 1
_renderings = threading.BoundedSemaphore(MAX_RENDERINGS)


def count(file: ApplicationFile) -> int:
    """Return how many pictures there are; of a document that was not counted the first page."""
    return max(file.pages, 1)


def respond(request: HttpRequest, file_id: uuid.UUID, page: int) -> HttpResponse:
    """Return page `page`, from 1, as PNG.

    A page that can't be drawn is answered with a sentence: 422 if that is the document's fault, 503
    if asking again may help. Past the last page there is nothing.
    """
    file = get_object_or_404(ApplicationFile.objects.select_related("application"), pk=file_id)
    if not 1 <= page <= count(file):
        raise Http404
    _note_look(request, file)
    if not _renderings.acquire(blocking=False):
        response = _sentence(
            _("Too many pages are being drawn. Try again in a moment."), status=503
        )
        response["Retry-After"] = str(RETRY_SECONDS)
        return response
    try:
        return _drawn(file, page)
    finally:
        _renderings.release()


def _drawn(file: ApplicationFile, page: int) -> HttpResponse:
    try:
        content = documents.content_of(file)
        picture = sandbox.render_page(content, content_type=file.content_type, page=page)
    except (OSError, documents.Corrupted):
        logger.exception("document unreadable file=%s", file.pk)
        return _sentence(_("The stored file can't be read."), status=503)
    except sandbox.InspectionFailed:
        logger.warning("page not drawn file=%s page=%d", file.pk, page, exc_info=True)
        return _sentence(_("The page could not be drawn in time. Try again later."), status=503)
    if picture is None:
        return _sentence(_("The page can't be drawn."), status=422)
    return _kept_private(HttpResponse(picture, content_type="image/png"))


def _note_look(request: HttpRequest, file: ApplicationFile) -> None:
    """Note who looks, unless the page that shows the pictures has just done so."""
    user = signed_in_user(request)
    viewed = file.accesses.filter(user=user, kind=DocumentAccess.Kind.VIEWED)
    if not viewed.filter(at__gte=Now() - LOOK).exists():
        documents.note_access(file, user, DocumentAccess.Kind.VIEWED)


def _sentence(text: str, *, status: int) -> HttpResponse:
    response = HttpResponse(text, content_type="text/plain; charset=utf-8", status=status)
    response["Cache-Control"] = "private, no-store"
    return response


def _kept_private(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = f"private, max-age={MAX_AGE_SECONDS}"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response
