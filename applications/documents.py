"""The content of stored documents, and who may see it."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage
from django.db.models import Q
from django.http import Http404

from accounts.models import User
from applications.exceptions import NotScanned
from applications.models import ApplicationFile, DocumentAccess
from applications.verification.report import Document

logger = logging.getLogger(__name__)


class Corrupted(Exception):
    """The storage gave other bytes than were stored: no finding about the student's document."""


def read(file: ApplicationFile) -> Document:
    """Return the document as the checks want it.

    Raises what the storage raises, and `Corrupted` if the content is not what was uploaded.
    """
    content = content_of(file)
    former = (
        ApplicationFile.objects.current()
        .filter(application=file.application_id, sha256=file.sha256)
        .filter(
            Q(created_at__lt=file.created_at)
            | Q(created_at=file.created_at, position__lt=file.position)
        )
    )
    return Document(
        content=content,
        name=file.name,
        content_type=file.content_type,
        declared_type=file.declared_type,
        duplicate_of=former.values_list("name", flat=True).first() or "",
    )


def content_of(file: ApplicationFile) -> bytes:
    """Return all bytes of the file, at most `MAX_FILE_BYTES`; raises as `read` does."""
    with default_storage.open(file.storage_name) as stored:
        content: bytes = stored.read()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise Corrupted(f"The stored file of document {file.pk} has changed.")
    return content


def open_for_download(file: ApplicationFile, user: User) -> File[Any]:
    """Open the file for its owner or a member of staff, whose look at it is noted.

    Raises `NotScanned` unless a scanner has found it clean, and `Http404` if it is lost.
    """
    if not file.is_scanned:
        raise NotScanned
    try:
        stored = default_storage.open(file.storage_name)
    except FileNotFoundError as error:
        logger.error("document lost file=%s", file.pk)
        raise Http404 from error
    note_access(file, user, DocumentAccess.Kind.DOWNLOADED)
    return stored


def note_access(file: ApplicationFile, user: User, kind: DocumentAccess.Kind) -> None:
    """Note who looked into a student's document; a student's own looks are nobody's business."""
    if user.pk == file.application.student_id:
        return
    DocumentAccess.objects.create(file=file, user=user, kind=kind)
    logger.info("document %s file=%s user=%s", kind, file.pk, user.pk)
