"""The documents that wait for a decision of staff."""

from __future__ import annotations

from django.db.models import Q

from applications.models import TERMINAL_STATUSES, ApplicationFile, DocumentsState, FileQuerySet

OLDEST_FIRST = ("created_at", "id")
# What the checks left to a person, of applications that go on.
TO_DECIDE = Q(state=DocumentsState.NEEDS_REVIEW, replaced_at=None) & ~Q(
    application__status__in=TERMINAL_STATUSES
)


def to_decide() -> FileQuerySet:
    """Return all documents that wait for a decision."""
    return ApplicationFile.objects.filter(TO_DECIDE)


def is_to_decide(file: ApplicationFile) -> bool:
    """Tell whether this document is one of them: `TO_DECIDE` for one that was fetched."""
    return (
        file.state == DocumentsState.NEEDS_REVIEW
        and file.replaced_at is None
        and file.application.status not in TERMINAL_STATUSES
    )


def next_after(file: ApplicationFile) -> ApplicationFile | None:
    """Return the next document to decide after this one, oldest first; after the last the first."""
    waiting = to_decide().exclude(pk=file.pk).order_by(*OLDEST_FIRST)
    later = Q(created_at__gt=file.created_at) | Q(created_at=file.created_at, id__gt=file.id)
    return waiting.filter(later).first() or waiting.first()
