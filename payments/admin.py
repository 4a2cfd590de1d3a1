from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from applications.money import format_money
from outbox.read_only import ReadOnly
from payments.models import Payment, PaymentState, ProviderEvent

STATE_COLOURS = {
    PaymentState.PROCESSING: "info",
    PaymentState.AWAITING: "info",
    PaymentState.FAILED: "danger",
    PaymentState.PAID: "success",
}


class ProviderEventInline(ReadOnly, TabularInline):
    model = ProviderEvent
    fields = ["received_at", "type", "event_id", "outcome"]
    readonly_fields = fields
    extra = 0
    hide_title = True


@admin.register(Payment)
class PaymentAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "application", "coloured_state", "fee", "provider", "paid_at"]
    list_select_related = ["application"]
    list_filter = ["state", "provider"]
    search_fields = ["=id", "=application__id", "=provider_reference", "=session_id"]
    search_help_text = _("Id of a payment, application or session, or the provider's reference")
    ordering = ["-created_at"]
    show_full_result_count = False
    inlines = [ProviderEventInline]
    fieldsets = [
        (None, {"fields": ["application", "state", "fee", "created_at", "paid_at"]}),
        (
            _("Provider"),
            {
                "fields": [
                    "provider",
                    "provider_reference",
                    "session_id",
                    "checkout_number",
                    "checkout_url",
                    "checkout_expires_at",
                ]
            },
        ),
    ]
    readonly_fields = ["fee"]

    @display(description=_("state"), ordering="state", label=STATE_COLOURS)
    def coloured_state(self, payment: Payment) -> tuple[str, str]:
        return payment.state, payment.get_state_display()

    @admin.display(description=_("fee"), ordering="amount")
    def fee(self, payment: Payment) -> str:
        return format_money(payment.amount, payment.currency)


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnly, ModelAdmin):
    list_display = ["event_id", "type", "outcome", "payment", "received_at"]
    list_select_related = ["payment"]
    list_filter = ["outcome", "type", "provider"]
    search_fields = ["=event_id"]
    search_help_text = _("The provider's id of the event")
    ordering = ["-received_at"]
    show_full_result_count = False
