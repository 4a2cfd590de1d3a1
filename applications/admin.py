"""Applications for staff: to look at; what changes them are the handlers."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline

from applications.models import Application, ApplicationFile
from applications.money import format_money
from outbox.read_only import ReadOnly


class FileInline(ReadOnly, TabularInline):
    model = ApplicationFile
    fields = ["name", "content_type", "size", "state", "report"]
    readonly_fields = fields
    extra = 0

    @admin.display(description=_("checks"))
    def report(self, file: ApplicationFile) -> str:
        return "; ".join(f"{check['code']}: {check['verdict']}" for check in file.checks) or "–"


@admin.register(Application)
class ApplicationAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "student", "status", "progress", "documents", "payment", "created_at"]
    list_filter = ["status", "documents", "payment", "priority"]
    list_select_related = ["student"]
    search_fields = ["id", "student__email", "student__name"]
    date_hierarchy = "created_at"
    show_full_result_count = False
    inlines = [FileInline]
    fields = [
        "trace_link",
        "id",
        "student",
        "status",
        "progress",
        "documents",
        "payment",
        "fee",
        "priority",
        "created_at",
        "updated_at",
        "version",
        "personal_statement",
    ]
    readonly_fields = ["trace_link", "fee"]

    @admin.display(description=_("trace"))
    def trace_link(self, application: Application) -> str:
        url = reverse("application-trace", args=[application.pk])
        return format_html(
            '<a class="text-primary-600" href="{}">{}</a>', url, _("Everything that happened")
        )

    @admin.display(description=_("fee"))
    def fee(self, application: Application) -> str:
        return format_money(application.fee_amount, application.fee_currency)
