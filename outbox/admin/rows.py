"""Outbox rows with their attempts, and what staff did to them: to look at only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.views import ChangeList

from outbox.admin import words
from outbox.admin.cells import stacked
from outbox.models import UNFINISHED_STATES, Attempt, Outbox, StaffAction
from outbox.read_only import ReadOnly
from outbox.waiting import why_waiting

STATE_COLOURS = {
    "pending": "info",
    "queued": "info",
    "processing": "warning",
    "delivered": "success",
    "dead": "danger",
}


class AttemptInline(ReadOnly, TabularInline):
    model = Attempt
    fields = ["number", "outcome", "started_at", "took", "worker", "error"]
    readonly_fields = fields
    extra = 0
    hide_title = True

    @admin.display(description=_("took"))
    def took(self, attempt: Attempt) -> str:
        return f"{attempt.seconds:.3f} s"

    @admin.display(description=_("error"))
    def error(self, attempt: Attempt) -> str:
        if not attempt.error_class:
            return "–"
        return format_html(
            "<details><summary class='cursor-pointer'>{}: {}</summary>"
            "<pre class='whitespace-pre-wrap text-xs mt-2'>{}</pre></details>",
            attempt.error_class,
            attempt.error_message,
            attempt.traceback,
        )


class StaffActionInline(ReadOnly, TabularInline):
    model = StaffAction
    fields = ["at", "action", "user", "reason"]
    readonly_fields = fields
    extra = 0
    hide_title = True


class RowAdmin(ReadOnly, ModelAdmin):
    """What the pages of one row have in common, dead or not."""

    show_full_result_count = False
    fieldsets = [
        (_("Work"), {"fields": ["event_type", "handler", "subject", "payload"]}),
        (
            _("State"),
            {
                "fields": [
                    "state",
                    "dead_reason",
                    "attempts_used",
                    "created_at",
                    "available_at",
                    "queued_at",
                    "finished_at",
                ]
            },
        ),
        (
            _("Delivery"),
            {"fields": ["queue", "priority", "worker", "lease_token", "lease_expires_at"]},
        ),
        (_("Origin"), {"fields": ["dedupe_key", "request_id"]}),
    ]
    readonly_fields = ["subject", "attempts_used"]

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[type[TabularInline]]:
        touched = obj is not None and obj.staff_actions.exists()
        return [AttemptInline, StaffActionInline] if touched else [AttemptInline]

    @admin.display(description=_("application"))
    def subject(self, row: Outbox) -> str:
        if row.aggregate_id is None:
            return "–"
        url = reverse(settings.OUTBOX_AGGREGATE_VIEW, args=[row.aggregate_id])
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>',
            url,
            row.aggregate_id,
        )

    @display(description=_("state"), ordering="state", label=STATE_COLOURS)
    def coloured_state(self, row: Outbox) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @admin.display(description=_("attempts"))
    def attempts_used(self, row: Outbox) -> str:
        return _("%(used)d of %(allowed)d") % {
            "used": row.attempt_count,
            "allowed": row.max_attempts,
        }


def _find_reasons(rows: Iterable[Any]) -> None:
    """Give each of the rows the `reason` why it waits: None for one that is finished."""
    rows = list(rows)
    reasons = why_waiting(rows)
    for row in rows:
        row.reason = reasons.get(row.pk)


class RowList(ChangeList):
    """One page of rows with the reasons why they wait: asked for once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        _find_reasons(self.result_list)


@admin.register(Outbox)
class OutboxAdmin(RowAdmin):
    list_display = [
        "id",
        "work",
        "queue",
        "priority",
        "coloured_state",
        "why_waiting",
        "attempts_used",
        "created_at",
    ]
    list_filter = ["queue", "state", "priority", "handler", "dead_reason"]
    search_fields = ["=id", "=aggregate_id", "=request_id"]
    search_help_text = _("Number of a row, id of an application or of a request")
    ordering = ["-id"]
    readonly_fields = [*RowAdmin.readonly_fields, "why_waiting"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RowList

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            _find_reasons([row])
        return row

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or obj.state not in UNFINISHED_STATES:
            return list(fieldsets)
        return [(_("Now"), {"fields": ["why_waiting"]}), *fieldsets]

    @admin.display(description=_("work"), ordering="handler")
    def work(self, row: Outbox) -> str:
        return stacked(row.handler, [row.event_type])

    @admin.display(description=_("why it waits"))
    def why_waiting(self, row: Any) -> str:
        return words.why(row.reason) if row.reason else "–"
