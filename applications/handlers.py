"""Background work on applications."""

from __future__ import annotations

import uuid
from functools import partial

from applications import documents, services
from applications.models import ApplicationFile
from applications.verification import malware, report
from outbox.exceptions import Unavailable
from outbox.registry import Finish, Message, handler

# A scanner that is restarted reads its signatures for half a minute before it answers again.
SCANNER_RETRY_SECONDS = 30.0


def _start(message: Message) -> None:
    services.start_verification(file_id=uuid.UUID(message.payload["fileId"]))


def _leave_to_staff(message: Message) -> None:
    services.leave_to_staff(file_id=uuid.UUID(message.payload["fileId"]))


@handler("document_uploaded", queue="verify_document", start=_start, on_dead=_leave_to_staff)
def verify_document(message: Message) -> Finish | None:
    """Check one version of a document, unless nobody needs it checked any more."""
    file = ApplicationFile.objects.select_related("application").get(pk=message.payload["fileId"])
    if file.replaced_at or file.application.withdrawn_at:
        return None
    try:
        found = report.verify(documents.read(file))
    except malware.ScannerDown as error:
        raise Unavailable(str(error), retry_after_seconds=SCANNER_RETRY_SECONDS) from error
    return partial(services.record_verification, file_id=file.pk, report=found)
