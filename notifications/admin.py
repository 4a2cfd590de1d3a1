from __future__ import annotations

from django.contrib import admin
from unfold.admin import ModelAdmin

from notifications.models import Mail
from outbox.read_only import ReadOnly


@admin.register(Mail)
class MailAdmin(ReadOnly, ModelAdmin):
    list_display = ["subject", "recipient", "occasion", "application", "sent_at"]
    list_filter = ["occasion"]
    search_fields = ["recipient", "=application__id"]
    ordering = ["-sent_at"]
    show_full_result_count = False
