"""Changes to applications: the only place that writes their facts, status and timeline."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from accounts.models import User
from applications import idempotency, read_model
from applications.admission import check_backlog
from applications.models import (
    TERMINAL_STATUSES,
    Application,
    ApplicationEvent,
    ApplicationFile,
    DocumentsState,
    EventType,
    PaymentState,
    Status,
)
from applications.status import Facts, derive, documents_state
from applications.validation import Draft, Submission, validate
from outbox.services import Event, publish, publish_many


@dataclass(frozen=True)
class Accepted:
    """The answer to a submission; `replayed` when it was given before for the same key."""

    answer: Mapping[str, Any]
    replayed: bool = False


def submit(
    *, student: User, draft: Draft, claim: idempotency.Claim | None, request_id: str
) -> Accepted:
    """Store a submission and the work that it calls for, in one transaction.

    Raises `InvalidSubmission`, `TooLarge` or `Overloaded` (nothing is stored, the key stays free),
    `KeyInUse` and `KeyReused`.
    """
    for staged in draft.files:
        staged.keep()
    try:
        with transaction.atomic():
            former = idempotency.claim(claim) if claim else None
            if former is None:
                submission = validate(draft, may_set_priority=student.is_staff)
                check_backlog(submission.priority)
                answer = _answer(_store(student, submission, request_id))
                if claim:
                    idempotency.remember(claim, answer)
    except (OperationalError, InterfaceError):
        raise  # nobody knows whether the COMMIT took place: a sweep removes what no row names
    except BaseException:
        _release(draft)
        raise
    if former is not None:
        _release(draft)
        return Accepted(former, replayed=True)
    return Accepted(answer)


def _release(draft: Draft) -> None:
    for staged in draft.files:
        staged.release()


def _store(student: User, submission: Submission, request_id: str) -> Application:
    documents = DocumentsState.WAITING if submission.files else DocumentsState.VERIFIED
    derived = derive(Facts(documents, PaymentState.NONE, checkout_opened=False))
    application = Application.objects.create(
        student=student,
        personal_statement=submission.personal_statement,
        priority=submission.priority,
        fee_amount=settings.APPLICATION_FEE_AMOUNT,
        fee_currency=settings.APPLICATION_FEE_CURRENCY,
        documents=documents,
        status=derived.status,
        progress=derived.progress or 0,
    )
    files = ApplicationFile.objects.bulk_create(
        ApplicationFile(
            application=application,
            position=position,
            name=file.name,
            content_type=file.content_type,
            size=file.staged.size or 0,
            sha256=file.staged.sha256,
            storage_name=file.staged.storage_name,
        )
        for position, file in enumerate(submission.files)
    )
    _note(application, EventType.SUBMITTED)
    publish_many(_first_events(application, files, request_id))
    return application


def _first_events(
    application: Application, files: Sequence[ApplicationFile], request_id: str
) -> list[Event]:
    documents = [
        Event(
            "document_uploaded",
            payload={"fileId": str(file.id)},
            aggregate_id=application.id,
            priority=application.priority,
            dedupe_key=str(file.id),
            request_id=request_id,
        )
        for file in files
    ]
    return [*documents, event_for(application, "application_submitted", request_id=request_id)]


def event_for(application: Application, event_type: str, *, request_id: str = "") -> Event:
    """Return the event of this type about this application; it can happen once."""
    return Event(
        event_type,
        aggregate_id=application.id,
        priority=application.priority,
        dedupe_key=f"{event_type}:{application.id}",
        request_id=request_id,
    )


def _answer(application: Application) -> dict[str, Any]:
    return {
        "applicationId": str(application.id),
        "status": application.status,
        "progress": application.progress,
        "statusUrl": f"/applications/{application.id}/status",
        "payUrl": f"/payments/checkout/{application.id}",
    }


def start_verification(*, file_id: uuid.UUID) -> None:
    """Note that a document is being checked. Called in a transaction."""
    file = ApplicationFile.objects.get(pk=file_id)
    application = _lock(file.application_id)
    if file.state == DocumentsState.WAITING:
        ApplicationFile.objects.filter(pk=file_id).update(state=DocumentsState.VERIFYING)
        first = not application.events.filter(event=EventType.VERIFICATION_STARTED).exists()
        _advance(application, EventType.VERIFICATION_STARTED if first else None)


def record_verification(
    *, file_id: uuid.UUID, state: DocumentsState, checks: Sequence[Mapping[str, str]]
) -> None:
    """Store the report of a document and go on with the application. Called in a transaction."""
    file = ApplicationFile.objects.get(pk=file_id)
    application = _lock(file.application_id)
    if application.status in TERMINAL_STATUSES:
        return  # a report that comes twice takes nothing back
    ApplicationFile.objects.filter(pk=file_id).update(state=state, checks=list(checks))
    rejected = state == DocumentsState.FAILED
    event = EventType.DOCUMENT_REJECTED if rejected else EventType.DOCUMENT_VERIFIED
    _advance(application, event, detail=file.name)
    if rejected:
        publish(event_for(application, "document_rejected"))


_PAYMENT_STAGE = {
    PaymentState.NONE: 0,
    PaymentState.PROCESSING: 1,
    PaymentState.AWAITING: 2,
    PaymentState.FAILED: 2,
    PaymentState.PAID: 3,
    PaymentState.REFUNDED: 4,
}


def record_payment(
    *, application_id: uuid.UUID, payment: PaymentState, event: EventType | None
) -> None:
    """Take over what the payments app knows. Called in a transaction.

    A payment never goes back: a repeated step, or a late event about an older checkout, changes
    nothing.
    """
    application = _lock(application_id)
    current = PaymentState(application.payment)
    if payment == current or _PAYMENT_STAGE[payment] < _PAYMENT_STAGE[current]:
        return
    application.payment = payment
    _advance(application, event)
    if payment == PaymentState.AWAITING:
        publish(event_for(application, "payment_requested"))


def record_checkout_opened(*, application_id: uuid.UUID) -> None:
    """Note that the student went to the payment page. Called in a transaction."""
    application = _lock(application_id)
    if not application.checkout_opened and application.status not in TERMINAL_STATUSES:
        application.checkout_opened = True
        _advance(application, EventType.CHECKOUT_OPENED)


def _lock(application_id: uuid.UUID) -> Application:
    # Steps of one application that end at the same moment wait here for one another, so that
    # each derives the status from what the others have committed.
    return Application.objects.select_for_update().get(pk=application_id)


def _advance(application: Application, event: EventType | None, *, detail: str = "") -> None:
    """Derive status and progress anew from the facts, under the lock of `_lock`."""
    was_completed = application.status == Status.COMPLETED
    application.documents = documents_state(application.files.values_list("state", flat=True))
    derived = derive(Facts(application.documents, application.payment, application.checkout_opened))
    application.status = derived.status
    application.progress = max(application.progress, derived.progress or 0)
    application.version += 1
    application.updated_at = Now()  # the database's clock
    application.save(
        update_fields=[
            "documents",
            "payment",
            "checkout_opened",
            "status",
            "progress",
            "version",
            "updated_at",
        ]
    )
    if event is not None:
        _note(application, event, detail=detail)
    if application.status == Status.COMPLETED and not was_completed:
        _note(application, EventType.COMPLETED)
        publish(event_for(application, "application_completed"))
    read_model.mark(application.id, version=application.version)


def _note(application: Application, event: EventType, *, detail: str = "") -> None:
    ApplicationEvent.objects.create(application=application, event=event, detail=detail)
