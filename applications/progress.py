"""How an application goes on: the only place that writes its status, progress and timeline."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models.functions import Now

from applications import read_model
from applications.models import (
    TERMINAL_STATUSES,
    Application,
    ApplicationEvent,
    ApplicationFile,
    EventType,
    Status,
)
from applications.status import Facts, derive, documents_state
from outbox.services import Event, publish


def lock(application_id: uuid.UUID) -> Application:
    """Return the application, locked until the caller's transaction ends.

    Steps of one application that end at the same moment wait here for one another, so that each
    derives the status from what the others have committed.
    """
    return Application.objects.select_for_update().get(pk=application_id)


def is_over(application: Application, file: ApplicationFile) -> bool:
    """Tell whether nothing happens to this version of a document any more."""
    return application.status in TERMINAL_STATUSES or file.replaced_at is not None


def advance(application: Application, event: EventType | None, *, detail: str = "") -> None:
    """Derive status and progress anew from the facts, under `lock`, and store both.

    What has ended stays as it ended: only its facts still change.
    """
    had_ended = application.status in TERMINAL_STATUSES
    states = application.files.current().values_list("state", flat=True)
    application.documents = documents_state(states)
    if not had_ended:
        derived = derive(_facts(application))
        application.status = derived.status
        application.progress = max(application.progress, derived.progress or 0)
    application.version += 1
    application.updated_at = Now()  # the database's clock
    application.save(
        update_fields=[
            "documents",
            "payment",
            "checkout_opened",
            "withdrawn_at",
            "status",
            "progress",
            "version",
            "updated_at",
        ]
    )
    if event is not None:
        note(application, event, detail=detail)
    if application.status == Status.COMPLETED and not had_ended:
        note(application, EventType.COMPLETED)
        publish(event_for(application, "application_completed"))
    read_model.mark(application.id, version=application.version)


def _facts(application: Application) -> Facts:
    return Facts(
        application.documents,
        application.payment,
        application.checkout_opened,
        withdrawn=application.withdrawn_at is not None,
    )


def note(application: Application, event: EventType, *, detail: str = "") -> None:
    """Write a line of the timeline."""
    ApplicationEvent.objects.create(application=application, event=event, detail=detail)


def event_for(
    application: Application,
    event_type: str,
    *,
    about: object = "",
    payload: Mapping[str, Any] | None = None,
    request_id: str = "",
) -> Event:
    """Return the event of this type about this application.

    It can happen once, or once for each thing that it is `about`.
    """
    return Event(
        event_type,
        payload=payload or {},
        aggregate_id=application.id,
        priority=application.priority,
        dedupe_key=f"{event_type}:{about or application.id}",
        request_id=request_id,
    )
