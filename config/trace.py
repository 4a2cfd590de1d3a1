"""An application's whole trace, for staff: everything that any app knows about it, in time order."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from applications.models import Application
from notifications.models import Mail
from outbox.admin import words
from outbox.models import Attempt, Outbox, Outcome, StaffAction, State
from outbox.waiting import why_waiting
from payments.models import ProviderEvent


@dataclass(frozen=True)
class Entry:
    """A line of the trace: when, which part of the system, what, and more about it.

    `waits` is why a row that is not finished waits; `seconds` how long it took, where that is known;
    `body` a long text such as a traceback.
    """

    at: datetime
    source: str
    title: str
    detail: str = ""
    waits: str = ""
    seconds: float | None = None
    failed: bool = False
    body: str = ""


def trace_of(application: Application) -> list[Entry]:
    """Return all that happened to the application, oldest first."""
    entries = [
        *_timeline(application),
        *_rows(application),
        *_attempts(application),
        *_staff_actions(application),
        *_provider_events(application),
        *_mails(application),
    ]
    return sorted(entries, key=lambda entry: entry.at)


def _timeline(application: Application) -> Iterator[Entry]:
    for event in application.events.all():
        yield Entry(event.at, _("student"), event.get_event_display(), event.detail)


def _rows(application: Application) -> Iterator[Entry]:
    rows = list(Outbox.objects.filter(aggregate_id=application.id))
    reasons = why_waiting(rows)
    for row in rows:
        detail = _("queue %(queue)s, %(priority)s, now %(state)s") % {
            "queue": row.queue,
            "priority": row.get_priority_display(),
            "state": row.get_state_display(),
        }
        if row.request_id:
            detail += _(", request %(id)s") % {"id": row.request_id}
        waits = words.why(reasons[row.pk]) if row.pk in reasons else ""
        yield Entry(row.created_at, _("outbox"), str(row), detail, waits)
        if row.state == State.PROCESSING and row.started_at:
            title = _("attempt %(number)d of %(handler)s #%(row)d: running") % {
                "number": row.attempt_count,
                "handler": row.handler,
                "row": row.pk,
            }
            yield Entry(row.started_at, _("worker"), title, row.worker)


def _attempts(application: Application) -> Iterator[Entry]:
    attempts = Attempt.objects.filter(outbox__aggregate_id=application.id).select_related("outbox")
    for attempt in attempts:
        title = _("attempt %(number)d of %(handler)s #%(row)d: %(outcome)s") % {
            "number": attempt.number,
            "handler": attempt.outbox.handler,
            "row": attempt.outbox_id,
            "outcome": attempt.get_outcome_display(),
        }
        error = f"{attempt.error_class}: {attempt.error_message}" if attempt.error_class else ""
        yield Entry(
            attempt.started_at,
            _("worker"),
            title,
            " · ".join(filter(None, [attempt.worker, error])),
            seconds=attempt.seconds,
            failed=attempt.outcome != Outcome.SUCCEEDED,
            body=attempt.traceback,
        )


def _staff_actions(application: Application) -> Iterator[Entry]:
    actions = StaffAction.objects.filter(outbox__aggregate_id=application.id)
    for action in actions.select_related("outbox", "user"):
        title = f"{action.get_action_display()}: {action.outbox}"
        yield Entry(action.at, _("staff"), title, f"{action.user}: {action.reason}")


def _provider_events(application: Application) -> Iterator[Entry]:
    events = ProviderEvent.objects.filter(payment__application=application)
    for event in events:
        yield Entry(
            event.received_at,
            _("payment provider"),
            f"{event.type}: {event.get_outcome_display()}",
            event.event_id,
            failed=event.outcome == ProviderEvent.Outcome.MISMATCH,
        )


def _mails(application: Application) -> Iterator[Entry]:
    for mail in Mail.objects.filter(application=application):
        yield Entry(mail.sent_at, _("mail"), mail.subject, mail.recipient)


def trace(request: HttpRequest, application_id: uuid.UUID) -> HttpResponse:
    """Show the trace, to staff who may see applications and outbox rows."""
    if not request.user.has_perms(["applications.view_application", "outbox.view_outbox"]):
        raise PermissionDenied
    application = get_object_or_404(
        Application.objects.select_related("student"), pk=application_id
    )
    context = {
        **admin.site.each_context(request),
        "title": _("Trace of application %(id)s") % {"id": application.id},
        "application": application,
        "entries": trace_of(application),
    }
    return TemplateResponse(request, "trace.html", context)
