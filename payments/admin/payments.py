"""Payments with what was captured and paid back; staff can have the rest paid back."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from applications.admin.cells import label, link
from applications.money import format_money
from outbox.read_only import ReadOnly
from payments.admin import paying_back
from payments.admin.provider_events import OUTCOME_COLOURS
from payments.models import Charge, Payment, PaymentState, ProviderEvent, Refund, RefundState

STATE_COLOURS = {
    PaymentState.PROCESSING: "info",
    PaymentState.AWAITING: "info",
    PaymentState.FAILED: "danger",
    PaymentState.PAID: "success",
    PaymentState.REFUNDED: "warning",
    PaymentState.CANCELLED: "default",
}
REFUND_COLOURS: dict[str, str] = {
    RefundState.REQUESTED: "info",
    RefundState.PENDING: "info",
    RefundState.SUCCEEDED: "success",
    RefundState.FAILED: "danger",
}


class ChargeInline(ReadOnly, TabularInline):
    model = Charge
    fields = ["captured_at", "captured", "paid_back", "kind", "provider_reference"]
    readonly_fields = fields
    extra = 0
    hide_title = True
    template_after = "payments/admin/refunds.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Charge]:
        charges: QuerySet[Charge] = super().get_queryset(request)
        return charges.select_related("payment")

    @admin.display(description=_("amount"))
    def captured(self, charge: Charge) -> str:
        return format_money(charge.amount, charge.payment.currency)

    @admin.display(description=_("paid back or about to be"))
    def paid_back(self, charge: Charge) -> str:
        return format_money(charge.refunded_amount, charge.payment.currency)

    @admin.display(description=_("is for"))
    def kind(self, charge: Charge) -> str:
        return str(_("nothing: the fee was paid already") if charge.is_surplus else _("the fee"))


class ProviderEventInline(ReadOnly, TabularInline):
    model = ProviderEvent
    fields = ["received_at", "type", "event", "coloured_outcome"]
    readonly_fields = fields
    extra = 0
    hide_title = True

    @admin.display(description=_("event"))
    def event(self, event: ProviderEvent) -> SafeString:
        url = reverse("admin:payments_providerevent_change", args=[event.pk])
        return link(url, event.event_id)

    @admin.display(description=_("outcome"))
    def coloured_outcome(self, event: ProviderEvent) -> SafeString:
        return label(OUTCOME_COLOURS[event.outcome], event.get_outcome_display())


@admin.register(Payment)
class PaymentAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "application", "coloured_state", "fee", "provider", "paid_at"]
    list_select_related = ["application"]
    list_filter = ["state", "provider"]
    search_fields = ["=id", "=application__id", "=charges__provider_reference", "=session_id"]
    search_help_text = _("Id of a payment, application or session, or the provider's reference")
    ordering = ["-created_at"]
    show_full_result_count = False
    inlines = [ChargeInline, ProviderEventInline]
    actions_detail = ["pay_back"]
    fieldsets = [
        (None, {"fields": ["application", "state", "fee", "created_at", "paid_at"]}),
        (
            _("Provider"),
            {
                "fields": [
                    "provider",
                    "session_id",
                    "checkout_number",
                    "checkout_url",
                    "checkout_expires_at",
                    "check_at",
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

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        payment = self.get_object(request, unquote(object_id))
        may_see = payment is not None and request.user.has_perm("payments.view_refund")
        more = {"refunds": _refunds(payment) if may_see else None, **(extra_context or {})}
        return cast(HttpResponse, super().change_view(request, object_id, form_url, more))

    def has_refund_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("payments.refund_payment")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[object]:
        """Offer to pay back only where something is left to be paid back."""
        offers: list[object] = super().get_actions_detail(request, object_id)
        payment = self.get_object(request, unquote(str(object_id))) if offers else None
        return offers if payment and paying_back.open_charges(payment).exists() else []

    @action(description=_("Pay back …"), url_path="pay-back", permissions=["refund"])
    def pay_back(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        return redirect("admin:payments_payment_refund", object_id)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.refund)
        name = "payments_payment_refund"
        return [path("<uuid:payment_id>/refund/", view, name=name), *super().get_urls()]

    def refund(self, request: HttpRequest, payment_id: uuid.UUID) -> HttpResponse:
        """Ask for the reason, then have paid back what is left of the payment's charges."""
        if not (self.has_view_permission(request) and self.has_refund_permission(request)):
            raise PermissionDenied
        payment = get_object_or_404(Payment.objects.select_related("application"), pk=payment_id)
        return paying_back.respond(self, request, payment)


def _refunds(payment: Payment) -> list[tuple[Refund, str, SafeString]]:
    """Return the payment's refunds, each with its amount and its state as people read them."""
    refunds = Refund.objects.filter(charge__payment=payment).select_related("charge")
    return [
        (
            refund,
            format_money(refund.amount, payment.currency),
            label(REFUND_COLOURS[refund.state], refund.get_state_display()),
        )
        for refund in refunds.order_by("pk")
    ]
