"""What happens to an application after it was taken in."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import User
from applications import progress
from applications.exceptions import AlreadyCompleted, NothingToDecide
from applications.models import (
    TERMINAL_STATUSES,
    Application,
    ApplicationFile,
    DocumentReview,
    DocumentsState,
    EventType,
    PaymentState,
    Status,
)
from applications.verification.names import is_named_in
from applications.verification.report import GAVE_UP, Check, Report, Verdict, gave_up, state_of
from outbox.services import publish

# Files whose report is still to come.
UNDECIDED = (DocumentsState.WAITING, DocumentsState.VERIFYING)


def start_verification(*, file_id: uuid.UUID) -> None:
    """Note that a document is being checked. Called in a transaction."""
    application, file = _lock_file(file_id)
    if progress.is_over(application, file) or file.state != DocumentsState.WAITING:
        return
    application.files.filter(pk=file_id).update(state=DocumentsState.VERIFYING)
    first = not application.events.filter(event=EventType.VERIFICATION_STARTED).exists()
    progress.advance(application, EventType.VERIFICATION_STARTED if first else None)


def record_verification(*, file_id: uuid.UUID, report: Report) -> None:
    """Store the report of a document and go on with the application. Called in a transaction.

    A report that comes twice, or about a version that was replaced meanwhile, changes nothing.
    """
    application, file = _lock_file(file_id)
    if progress.is_over(application, file) or not _waits_for_report(file):
        return
    file.state = state_of(report.checks)
    file.checks = [check.as_json() for check in report.checks]
    file.pages, file.text = report.pages, report.text
    if report.text:
        file.name_found = is_named_in(application.student.name, report.text)
    file.save(update_fields=["state", "checks", "pages", "text", "name_found"])
    _tell_result(application, file)


def leave_to_staff(*, file_id: uuid.UUID) -> None:
    """Let staff decide about a document that all attempts to check have failed with.

    Called in the transaction that makes its row a dead letter. If staff have it tried again, the
    report takes the place of this, unless they have decided meanwhile.
    """
    application, file = _lock_file(file_id)
    if progress.is_over(application, file) or file.state not in UNDECIDED:
        return
    file.state, file.checks = DocumentsState.NEEDS_REVIEW, [gave_up().as_json()]
    file.save(update_fields=["state", "checks"])
    _tell_result(application, file)


def _waits_for_report(file: ApplicationFile) -> bool:
    # A decision would stand behind the line of the checks that gave up.
    return file.state in UNDECIDED or [check["code"] for check in file.checks] == [GAVE_UP]


_RESULTS = {
    DocumentsState.VERIFIED: EventType.DOCUMENT_VERIFIED,
    DocumentsState.FAILED: EventType.DOCUMENT_REJECTED,
    DocumentsState.NEEDS_REVIEW: EventType.DOCUMENT_LEFT_TO_STAFF,
}


def _tell_result(application: Application, file: ApplicationFile) -> None:
    progress.advance(application, _RESULTS[DocumentsState(file.state)], detail=file.name)
    if file.state == DocumentsState.FAILED:
        payload = {"fileId": str(file.pk)}
        publish(
            progress.event_for(application, "document_rejected", about=file.pk, payload=payload)
        )


def decide_document(*, file_id: uuid.UUID, accept: bool, reason: str, reviewer: User) -> None:
    """Let a member of staff decide what the checks left to a person. Called in a transaction.

    The student reads the reason of a rejection. Raises `NothingToDecide` if the document waits for
    no decision (any more).
    """
    application, file = _lock_file(file_id)
    if progress.is_over(application, file) or file.state != DocumentsState.NEEDS_REVIEW:
        raise NothingToDecide
    decision = DocumentReview.Decision.ACCEPTED if accept else DocumentReview.Decision.REJECTED
    DocumentReview.objects.create(file=file, decision=decision, reason=reason, reviewer=reviewer)
    if accept:
        file.state = DocumentsState.VERIFIED
        check = Check("review", Verdict.PASSED, "Our staff looked at the document: it is fine.")
    else:
        file.state = DocumentsState.FAILED
        check = Check("review", Verdict.FAILED, reason)
    file.checks = [*file.checks, check.as_json()]
    file.save(update_fields=["state", "checks"])
    _tell_result(application, file)


_PAYMENT_STAGE = {
    PaymentState.NONE: 0,
    PaymentState.PROCESSING: 1,
    PaymentState.AWAITING: 2,
    PaymentState.FAILED: 2,
    PaymentState.PAID: 3,
    PaymentState.REFUNDED: 4,
}
# Where money has moved, a student wants to know it however the application ended.
_MONEY_MOVED = frozenset({PaymentState.PAID, PaymentState.REFUNDED})


def record_payment(
    *, application_id: uuid.UUID, payment: PaymentState, event: EventType | None
) -> None:
    """Take over what the payments app knows. Called in a transaction.

    A payment never goes back: a repeated step, or a late event about an older checkout, changes
    nothing. Nor does anything but money once the application has ended.
    """
    application = progress.lock(application_id)
    current = PaymentState(application.payment)
    if payment == current or _PAYMENT_STAGE[payment] < _PAYMENT_STAGE[current]:
        return
    if application.status in TERMINAL_STATUSES and payment not in _MONEY_MOVED:
        return
    application.payment = payment
    progress.advance(application, event)
    if payment == PaymentState.AWAITING:
        publish(progress.event_for(application, "payment_requested"))


def record_refund_failed(*, application_id: uuid.UUID) -> None:
    """Note that money which was paid back has come back to us. Called in a transaction."""
    application = progress.lock(application_id)
    if application.payment == PaymentState.REFUNDED:
        application.payment = PaymentState.PAID
        progress.advance(application, EventType.REFUND_FAILED)


def record_checkout_opened(*, application_id: uuid.UUID) -> None:
    """Note that the student went to the payment page. Called in a transaction."""
    application = progress.lock(application_id)
    if not application.checkout_opened and application.status not in TERMINAL_STATUSES:
        application.checkout_opened = True
        progress.advance(application, EventType.CHECKOUT_OPENED)


@transaction.atomic
def withdraw(*, application_id: uuid.UUID, request_id: str) -> Application:
    """End the application as its student wishes, and return it.

    A paid fee is paid back, an open checkout ended, and queued work stops by itself. Withdrawing
    again changes nothing; raises `AlreadyCompleted` where it is too late.
    """
    application = progress.lock(application_id)
    if application.status == Status.COMPLETED:
        raise AlreadyCompleted
    if application.status != Status.WITHDRAWN:
        application.withdrawn_at = Now()  # the database's clock
        progress.advance(application, EventType.WITHDRAWN)
        publish(progress.event_for(application, "application_withdrawn", request_id=request_id))
    return application


def is_withdrawn(application_id: uuid.UUID) -> bool:
    """Tell whether the application was withdrawn, as of now; no step for it is wanted any more."""
    return Application.objects.filter(pk=application_id, withdrawn_at__isnull=False).exists()


def _lock_file(file_id: uuid.UUID) -> tuple[Application, ApplicationFile]:
    application = progress.lock(ApplicationFile.objects.get(pk=file_id).application_id)
    return application, application.files.get(pk=file_id)  # as it is under the lock
