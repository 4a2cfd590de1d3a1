"""Reading applications: what clients and pages are shown."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet
from django.db.models.functions import JSONObject
from django.http import Http404
from django.shortcuts import get_object_or_404

from accounts.models import User
from applications.models import (
    REPLACEABLE,
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


def own_application(student: User, application_id: uuid.UUID) -> Application:
    """Return the student's application; to anyone else, staff too, it is not there (Http404)."""
    return get_object_or_404(Application, pk=application_id, student=student)


def own_file(student: User, application_id: uuid.UUID, file_id: uuid.UUID) -> ApplicationFile:
    """Return a document of the student's application; raises Http404 as `own_application` does."""
    return get_object_or_404(_files(application_id), pk=file_id, application__student=student)


def downloadable_file(user: User, application_id: uuid.UUID, file_id: uuid.UUID) -> ApplicationFile:
    """Return a document that is the user's own, or that a member of staff may download.

    Raises Http404 where the user may not even know of it, and `PermissionDenied` for other staff.
    """
    file = get_object_or_404(_files(application_id), pk=file_id)
    if file.application.student_id == user.pk:
        return file
    if not user.is_staff:
        raise Http404
    if not user.has_perm("applications.download_applicationfile"):
        raise PermissionDenied
    return file


def _files(application_id: uuid.UUID) -> QuerySet[ApplicationFile]:
    files = ApplicationFile.objects.select_related("application")
    return files.filter(application_id=application_id)


def status_of(application_id: uuid.UUID) -> tuple[Application, dict[str, Any]] | None:
    """Return an application and its status document (without `eta`), or None.

    One statement reads it all, so that the document is what its version says: a second query could
    see a later change. It follows from the rows alone and can be cached under the version.
    """
    files = ApplicationFile.objects.current().filter(application=OuterRef("pk"))
    events = ApplicationEvent.objects.filter(application=OuterRef("pk")).order_by("id")
    application = (
        Application.objects.annotate(
            file_rows=ArraySubquery(
                files.order_by("position").values(
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
    ended = application.status in TERMINAL_STATUSES
    return {
        "applicationId": str(application.id),
        "status": application.status,
        "progress": application.progress,
        "terminal": ended,
        "version": application.version,
        "updatedAt": isoformat(application.updated_at),
        "nextAction": next_action(application),
        "withdrawUrl": None if ended else f"/applications/{application.id}/withdrawal",
        "documents": [_file(application, ended=ended, **file) for file in files],
        "payment": {
            "state": application.payment,
            "amount": application.fee_amount,
            "currency": application.fee_currency,
            "payUrl": f"/payments/checkout/{application.id}",
        },
        "timeline": [_timeline_entry(**event) for event in events],
    }


def _file(application: Application, *, ended: bool, **file: Any) -> dict[str, Any]:
    replaceable = file["state"] in REPLACEABLE and not ended
    url = f"/applications/{application.id}/files/{file['fileId']}"
    return {
        **file,
        "replaceUrl": f"{url}/replacement" if replaceable else None,
        "contentUrl": f"{url}/content"
        if ApplicationFile(checks=file["checks"]).is_scanned
        else None,
    }


def next_action(application: Application) -> str | None:
    """Return what the student should do next: replace_document or pay; None means to wait."""
    if application.status in TERMINAL_STATUSES:
        return None
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
