"""Taking in what students send: applications, and replacements of their documents."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from accounts.models import User
from applications import idempotency, progress
from applications.admission import check_backlog
from applications.exceptions import NotReplaceable
from applications.models import (
    REPLACEABLE,
    Application,
    ApplicationFile,
    DocumentsState,
    EventType,
    PaymentState,
)
from applications.status import Facts, derive
from applications.validation import (
    Draft,
    Submission,
    ValidFile,
    validate,
    validate_replacement,
)
from outbox.services import Event, publish, publish_many


@dataclass(frozen=True)
class Accepted:
    """The answer to what was sent; `replayed` when it was given before for the same key."""

    answer: Mapping[str, Any]
    replayed: bool = False


def submit(
    *, student: User, draft: Draft, claim: idempotency.Claim | None, request_id: str
) -> Accepted:
    """Store a submission and the work that it calls for, in one transaction.

    Raises `InvalidSubmission`, `TooLarge` or `Overloaded` (nothing is stored, the key stays free),
    `KeyInUse` and `KeyReused`.
    """

    def store() -> Mapping[str, Any]:
        submission = validate(draft, may_set_priority=student.is_staff)
        check_backlog(submission.priority)
        return _answer(_store(student, submission, request_id))

    return _accept(draft, claim, store)


def replace_file(
    *,
    application_id: uuid.UUID,
    file_id: uuid.UUID,
    draft: Draft,
    claim: idempotency.Claim | None,
    request_id: str,
) -> Accepted:
    """Store a new version of a document and the work of checking it, in one transaction.

    The other documents keep their verdicts. Raises what `submit` raises, `NotReplaceable` if this
    document needs no replacement (any more), and `ApplicationFile.DoesNotExist`.
    """

    def store() -> Mapping[str, Any]:
        new = validate_replacement(draft)
        application = progress.lock(application_id)
        old = application.files.get(pk=file_id)
        if progress.is_over(application, old) or old.state not in REPLACEABLE:
            raise NotReplaceable
        check_backlog(application.priority)
        new_file_id = _replace(application, old, new, request_id)
        return {**_answer(application), "fileId": str(new_file_id)}

    return _accept(draft, claim, store)


def _accept(
    draft: Draft, claim: idempotency.Claim | None, store: Callable[[], Mapping[str, Any]]
) -> Accepted:
    """Run `store` in a transaction, once for the key; the files stay if it committed."""
    for staged in draft.files:
        staged.keep()
    try:
        with transaction.atomic():
            former = idempotency.claim(claim) if claim else None
            if former is None:
                answer = store()
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
        _row(application, file, position=position) for position, file in enumerate(submission.files)
    )
    progress.note(application, EventType.SUBMITTED)
    publish_many(_first_events(application, files, request_id))
    return application


def _replace(
    application: Application, old: ApplicationFile, new: ValidFile, request_id: str
) -> uuid.UUID:
    application.files.filter(pk=old.pk).update(replaced_at=Now())  # the database's clock
    file = _row(application, new, position=old.position, version=old.version + 1)
    file.save(force_insert=True)
    progress.advance(application, EventType.DOCUMENT_REPLACED, detail=file.name)
    publish(_uploaded(application, file, request_id))
    return file.pk


def _row(
    application: Application, file: ValidFile, *, position: int, version: int = 1
) -> ApplicationFile:
    return ApplicationFile(
        application=application,
        position=position,
        version=version,
        name=file.name,
        content_type=file.content_type,
        declared_type=file.declared_type,
        size=file.staged.size or 0,
        sha256=file.staged.sha256,
        storage_name=file.staged.storage_name,
    )


def _first_events(
    application: Application, files: Sequence[ApplicationFile], request_id: str
) -> list[Event]:
    submitted = progress.event_for(application, "application_submitted", request_id=request_id)
    return [*(_uploaded(application, file, request_id) for file in files), submitted]


def _uploaded(application: Application, file: ApplicationFile, request_id: str) -> Event:
    return progress.event_for(
        application,
        "document_uploaded",
        about=file.pk,
        payload={"fileId": str(file.pk)},
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
