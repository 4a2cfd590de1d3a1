"""Applications for staff: to look at; what changes them are the handlers."""

from __future__ import annotations

import uuid

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from applications.admin import words
from applications.admin.cells import link
from applications.models import Application, ApplicationFile, Status
from applications.money import format_money
from outbox.admin.cells import stacked
from outbox.read_only import ReadOnly

STATUS_COLOURS = dict.fromkeys(Status, "default") | {
    Status.VERIFICATION_FAILED: "danger",
    Status.AWAITING_PAYMENT: "info",
    Status.PAYMENT_INITIATED: "info",
    Status.COMPLETED: "success",
}


class FileInline(ReadOnly, TabularInline):
    """All versions of the documents, each with a link to the page where it is decided about."""

    model = ApplicationFile
    fields = ["document", "coloured_state", "report"]
    readonly_fields = fields
    extra = 0
    hide_title = True

    @admin.display(description=_("document"))
    def document(self, file: ApplicationFile) -> SafeString:
        url = reverse("admin:applications_applicationfile_change", args=[file.pk])
        return stacked(link(url, file.name), [" · ".join(words.facts(file))])

    @admin.display(description=_("state"))
    def coloured_state(self, file: ApplicationFile) -> SafeString:
        return words.state_label(file)

    @admin.display(description=_("checks"))
    def report(self, file: ApplicationFile) -> SafeString | str:
        return words.report(file)


@admin.register(Application)
class ApplicationAdmin(ReadOnly, ModelAdmin):
    list_display = [
        "id",
        "student",
        "coloured_status",
        "percent",
        "documents",
        "payment",
        "created_at",
    ]
    list_filter = ["status", "documents", "payment", "priority"]
    list_select_related = ["student"]
    search_fields = ["id", "student__email", "student__name"]
    search_help_text = _("Id, or the student's name or address")
    date_hierarchy = "created_at"
    show_full_result_count = False
    inlines = [FileInline]
    actions_detail = ["show_trace"]
    fieldsets = [
        (None, {"fields": ["id", "student", "status", "percent"]}),
        (_("Facts"), {"fields": ["documents", "payment", "fee", "checkout_opened", "priority"]}),
        (_("History"), {"fields": ["created_at", "updated_at", "withdrawn_at", "version"]}),
        (_("Personal statement"), {"fields": ["personal_statement"]}),
    ]
    readonly_fields = ["fee", "percent"]

    @action(description=_("Everything that happened"), url_path="show-trace")
    def show_trace(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        return redirect("application-trace", application_id=object_id)

    @display(description=_("status"), ordering="status", label=STATUS_COLOURS)
    def coloured_status(self, application: Application) -> tuple[str, str]:
        return application.status, application.get_status_display()

    @admin.display(description=_("progress"), ordering="progress")
    def percent(self, application: Application) -> str:
        return f"{application.progress} %"

    @admin.display(description=_("fee"))
    def fee(self, application: Application) -> str:
        return format_money(application.fee_amount, application.fee_currency)
