"""Staff have a payment paid back: all that is left of its charges, for a reason."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin

from applications.money import format_money
from outbox.admin.reason_form import ReasonForm
from payments import refunds
from payments.models import Charge, Payment, Refund


class RefundForm(ReasonForm):
    """The reason as far as a refund has room for it."""

    reason = forms.CharField(
        label=ReasonForm.base_fields["reason"].label,
        max_length=Refund._meta.get_field("reason").max_length,
        widget=ReasonForm.base_fields["reason"].widget,
    )


def open_charges(payment: Payment) -> QuerySet[Charge]:
    """Return the charges of which something is left to be paid back."""
    return payment.charges.filter(refunded_amount__lt=F("amount")).order_by("pk")


def respond(model_admin: ModelAdmin, request: HttpRequest, payment: Payment) -> HttpResponse:
    """Ask for the reason; once it is given, carry it out and go back to the payment."""
    form = RefundForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        _carry_out(model_admin, request, payment, form.cleaned_data["reason"])
        return redirect("admin:payments_payment_change", payment.pk)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Pay back"),
        "payment": payment,
        "rows": [
            (charge, *(format_money(amount, payment.currency) for amount in _amounts(charge)))
            for charge in open_charges(payment)
        ],
        "form": form,
        "opts": model_admin.opts,
    }
    return TemplateResponse(request, "payments/admin/pay_back.html", context)


def _amounts(charge: Charge) -> tuple[int, int]:
    """Return what was captured and what is left of it, in minor units."""
    return charge.amount, charge.amount - charge.refunded_amount


def _carry_out(
    model_admin: ModelAdmin, request: HttpRequest, payment: Payment, reason: str
) -> None:
    try:
        with transaction.atomic():
            amount = _request_all(payment, reason=reason)
            money = format_money(amount, payment.currency)
            # A refund says why; who asked for it is in the payment's history, and in its trace.
            done = _("Asked to pay back %(money)s: %(reason)s") % {
                "money": money,
                "reason": reason,
            }
            model_admin.log_change(request, payment, done)
    except refunds.NothingToRefund:
        messages.warning(
            request, _("Nothing is left to be paid back; somebody may have asked before you.")
        )
        return
    messages.success(request, _("%s will be paid back.") % money)


def _request_all(payment: Payment, *, reason: str) -> int:
    """Ask for all that is left to be paid back, and return how much that is.

    Called in a transaction. Raises `NothingToRefund`.
    """
    # Two people who ask at the same time come one after the other.
    locked = Payment.objects.select_for_update().get(pk=payment.pk)
    requested = [refunds.request_refund(charge, reason=reason) for charge in open_charges(locked)]
    if not requested:
        raise refunds.NothingToRefund
    return sum(refund.amount for refund in requested)
