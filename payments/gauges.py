"""Gauges of money: nobody's money may be forgotten."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Now
from django.utils.translation import ngettext_lazy

from applications.models import Application
from applications.models import PaymentState as Fact
from outbox.conservation import MAX_EXAMPLES, Finding, gauge
from outbox.models import UNFINISHED_STATES, Outbox, State
from payments.models import Charge, ProviderEvent, Refund, RefundState

# A refund that is on its way for longer than this needs a person's look.
SETTLE_WITHIN = timedelta(days=7)


def _finding(rows: QuerySet[ProviderEvent] | QuerySet[Refund], *, show: str) -> Finding:
    """Return how many rows there are; `show` is the field whose values are the examples."""
    examples = rows.order_by("pk").values_list(show, flat=True)[:MAX_EXAMPLES]
    return Finding(rows.count(), list(examples))


@gauge(
    "held_provider_events",
    says=ngettext_lazy(
        "%d event of the payment provider does not fit a payment and waits to be settled.",
        "%d events of the payment provider do not fit a payment and wait to be settled.",
    ),
    page="admin:payments_providerevent_change",
)
def held_provider_events() -> Finding:
    """Events about money that did not fit a payment and that nobody has settled yet."""
    return _finding(ProviderEvent.objects.filter(outcome=ProviderEvent.Outcome.MISMATCH), show="pk")


@gauge(
    "unsettled_refunds",
    says=ngettext_lazy(
        "%d refund has failed or is on its way for too long.",
        "%d refunds have failed or are on their way for too long.",
    ),
    page="admin:payments_payment_change",
)
def unsettled_refunds() -> Finding:
    """Refunds that failed and were not asked for again, or that are on their way for too long."""
    open_refunds = Refund.objects.exclude(state=RefundState.SUCCEEDED)
    failed = open_refunds.filter(
        state=RefundState.FAILED, charge__refunded_amount__lt=F("charge__amount")
    )
    late = open_refunds.exclude(state=RefundState.FAILED).filter(
        created_at__lt=Now() - SETTLE_WITHIN
    )
    return _finding(failed | late, show="charge__payment")


@gauge(
    "kept_fees",
    says=ngettext_lazy(
        "%d charge has to be paid back, and nothing is left that would do it.",
        "%d charges have to be paid back, and nothing is left that would do it.",
    ),
    page="admin:payments_payment_change",
)
def kept_fees() -> Finding:
    """Money to be paid back that nothing is left to pay back: no row, no dead letter, no refund.

    That is the fee of a withdrawn application, and what was paid twice. Two statements, because each
    has a small index of its own.
    """
    closing = Outbox.objects.filter(
        handler="close_payment",
        aggregate_id=OuterRef("pk"),
        state__in=[*UNFINISHED_STATES, State.DEAD, State.DISCARDED],
    )
    withdrawn = Application.objects.filter(
        ~Exists(closing), withdrawn_at__isnull=False, payment=Fact.PAID
    )
    kept = Charge.objects.filter(refunded_amount__lt=F("amount"))
    payments = [
        *kept.filter(payment__application__in=list(withdrawn.values_list("pk", flat=True)))
        .order_by("pk")
        .values_list("payment", flat=True),
        *kept.filter(is_surplus=True).order_by("pk").values_list("payment", flat=True),
    ]
    return Finding(len(payments), payments[:MAX_EXAMPLES])
