"""An application's whole trace, for staff: everything that any app knows about it, in time order."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from applications.models import Application, ApplicationFile, DocumentAccess, DocumentReview
from applications.money import format_money
from notifications.models import Mail, MailState
from outbox.admin import words
from outbox.models import Attempt, Outbox, Outcome, StaffAction, State
from outbox.waiting import why_waiting
from payments.models import Charge, Payment, ProviderEvent, Refund, RefundState


@dataclass(frozen=True)
class Entry:
    """A line of the trace: when, which part of the system, what, and more about it.

    `at` is None for what nobody knows the time of; it comes last. `waits` is why a row that is not
    finished waits; `seconds` how long it took, where that is known; `body` a long text such as a
    traceback.
    """

    at: datetime | None
    source: str
    title: str
    detail: str = ""
    waits: str = ""
    seconds: float | None = None
    failed: bool = False
    body: str = ""


_AFTER_ALL = datetime.max.replace(tzinfo=UTC)


def trace_of(application: Application) -> list[Entry]:
    """Return all that happened to the application, oldest first, and then what has no time."""
    entries = [
        *_timeline(application),
        *_rows(application),
        *_attempts(application),
        *_staff_actions(application),
        *_reviews(application),
        *_accesses(application),
        *_provider_events(application),
        *_charges(application),
        *_refunds(application),
        *_refund_requests(application),
        *_mails(application),
    ]
    return sorted(entries, key=lambda entry: entry.at or _AFTER_ALL)


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


def _reviews(application: Application) -> Iterator[Entry]:
    reviews = DocumentReview.objects.filter(file__application=application)
    for review in reviews.select_related("file", "reviewer"):
        title = f"{_named(review.file)}: {review.get_decision_display()}"
        yield Entry(review.at, _("staff"), title, f"{review.reviewer}: {review.reason}")


def _accesses(application: Application) -> Iterator[Entry]:
    accesses = DocumentAccess.objects.filter(file__application=application)
    for access in accesses.select_related("file", "user"):
        title = f"{_named(access.file)}: {access.get_kind_display()}"
        yield Entry(access.at, _("staff"), title, str(access.user))


def _named(file: ApplicationFile) -> str:
    number = {"name": file.name, "number": file.version}
    return _("document %(name)s, version %(number)d") % number


def _provider_events(application: Application) -> Iterator[Entry]:
    events = ProviderEvent.objects.filter(payment__application=application)
    for event in events.select_related("settled_by"):
        settled = f"{event.settled_by}: {event.settled_reason}" if event.settled_by else ""
        yield Entry(
            event.received_at,
            _("payment provider"),
            f"{event.type}: {event.get_outcome_display()}",
            " · ".join(filter(None, [event.event_id, settled])),
            failed=event.outcome == ProviderEvent.Outcome.MISMATCH,
        )


def _charges(application: Application) -> Iterator[Entry]:
    charges = Charge.objects.filter(payment__application=application)
    for charge in charges.select_related("payment"):
        money = format_money(charge.amount, charge.payment.currency)
        title = _("captured a second time: %s") if charge.is_surplus else _("captured: %s")
        yield Entry(
            charge.captured_at,
            _("payment"),
            title % money,
            charge.provider_reference,
            failed=charge.is_surplus,
        )


def _refunds(application: Application) -> Iterator[Entry]:
    refunds = Refund.objects.filter(charge__payment__application=application)
    for refund in refunds.select_related("charge__payment"):
        money = format_money(refund.amount, refund.charge.payment.currency)
        title = _("refund #%(number)d of %(money)s") % {"number": refund.pk, "money": money}
        yield Entry(refund.created_at, _("payment"), _("%s: requested") % title, refund.reason)
        if refund.settled_at:
            yield Entry(
                refund.settled_at,
                _("payment"),
                f"{title}: {refund.get_state_display()}",
                refund.provider_reference,
                failed=refund.state == RefundState.FAILED,
            )


def _refund_requests(application: Application) -> Iterator[Entry]:
    """Return who of the staff asked for a refund: the admin's history of the payment."""
    payments = Payment.objects.filter(application=application).values_list("pk", flat=True)
    changes = LogEntry.objects.filter(
        content_type__app_label="payments",
        content_type__model="payment",
        object_id__in=[str(pk) for pk in payments],
    )
    for change in changes.select_related("user"):
        yield Entry(change.action_time, _("staff"), change.get_change_message(), str(change.user))


def _mails(application: Application) -> Iterator[Entry]:
    for mail in Mail.objects.filter(application=application):
        sent = mail.state == MailState.SENT
        yield Entry(
            mail.sent_at,
            _("mail"),
            mail.subject if sent else f"{mail.subject}: {mail.get_state_display()}",
            " · ".join(filter(None, [mail.recipient, mail.error])),
            failed=not sent,
        )


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
