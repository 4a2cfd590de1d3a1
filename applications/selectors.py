"""Reading applications: what clients and pages are shown."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet
from django.db.models.functions import JSONObject

from accounts.models import User
from applications.models import (
    TERMINAL_STATUSES,
    Application,
    ApplicationEvent,
    ApplicationFile,
    PaymentState,
    Status,
)


def visible_applications(user: User) -> QuerySet[Application]:
    """Return what a user may see: students their own, staff all."""
    applications = Application.objects.all()
    return applications if user.is_staff else applications.filter(student=user)


def status_of(application_id: uuid.UUID) -> tuple[Application, dict[str, Any]] | None:
    """Return an application and its status document (without `eta`), or None.

    One statement reads it all, so that the document is what its version says: a second query could
    see a later change. It follows from the rows alone and can be cached under the version.
    """
    files = ApplicationFile.objects.filter(application=OuterRef("pk")).order_by("position")
    events = ApplicationEvent.objects.filter(application=OuterRef("pk")).order_by("id")
    application = (
        Application.objects.annotate(
            file_rows=ArraySubquery(
                files.values(
                    row=JSONObject(fileId="id", name="name", state="state", checks="checks")
                )
            ),
            event_rows=ArraySubquery(
                events.values(row=JSONObject(at="at", event="event", detail="detail"))
            ),
        )
        .filter(pk=application_id)
        .first()
    )
    if application is None:
        return None
    return application, _document(application, application.file_rows, application.event_rows)


def _document(
    application: Application, files: list[dict[str, Any]], events: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "applicationId": str(application.id),
        "status": application.status,
        "progress": application.progress,
        "terminal": application.status in TERMINAL_STATUSES,
        "version": application.version,
        "updatedAt": isoformat(application.updated_at),
        "nextAction": next_action(application),
        "documents": files,
        "payment": {
            "state": application.payment,
            "amount": application.fee_amount,
            "currency": application.fee_currency,
            "payUrl": f"/payments/checkout/{application.id}",
        },
        "timeline": [_timeline_entry(**event) for event in events],
    }


def next_action(application: Application) -> str | None:
    """Return what the student should do next: replace_document or pay; None means to wait."""
    if application.status == Status.VERIFICATION_FAILED:
        return "replace_document"
    if application.payment in {PaymentState.AWAITING, PaymentState.FAILED}:
        return "pay"
    return None


def isoformat(moment: datetime) -> str:
    """Return the time in ISO 8601, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _timeline_entry(*, at: str, event: str, detail: str) -> dict[str, str | None]:
    return {"at": isoformat(datetime.fromisoformat(at)), "event": event, "detail": detail or None}
