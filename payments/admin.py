from __future__ import annotations

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from outbox.read_only import ReadOnly
from payments.models import Payment, ProviderEvent


class ProviderEventInline(ReadOnly, TabularInline):
    model = ProviderEvent
    fields = ["received_at", "type", "event_id", "outcome"]
    readonly_fields = fields
    extra = 0


@admin.register(Payment)
class PaymentAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "application", "state", "amount", "currency", "provider", "paid_at"]
    list_filter = ["state", "provider"]
    search_fields = ["=id", "=application__id", "=provider_reference", "=session_id"]
    show_full_result_count = False
    inlines = [ProviderEventInline]


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnly, ModelAdmin):
    list_display = ["event_id", "type", "outcome", "payment", "received_at"]
    list_filter = ["outcome", "type", "provider"]
    search_fields = ["=event_id"]
    show_full_result_count = False
