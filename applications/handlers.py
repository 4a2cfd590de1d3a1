"""Background work on applications."""

from __future__ import annotations

import uuid
from functools import partial

from django.core.files.storage import default_storage

from applications import services, verification
from applications.models import ApplicationFile
from outbox.registry import Finish, Message, handler


def _start(message: Message) -> None:
    services.start_verification(file_id=uuid.UUID(message.payload["fileId"]))


@handler("document_uploaded", queue="verify_document", start=_start)
def verify_document(message: Message) -> Finish:
    """Check one document of an application."""
    file = ApplicationFile.objects.get(pk=message.payload["fileId"])
    with default_storage.open(file.storage_name) as stored:
        report = verification.verify(stored, content_type=file.content_type)
    return partial(
        services.record_verification,
        file_id=file.pk,
        state=verification.state_of(report),
        checks=[check.as_json() for check in report],
    )
