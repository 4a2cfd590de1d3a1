"""Asking the provider what no webhook has told us: a payment must not hang on a lost message.

Each payment and refund says when it is to be asked about (`check_at`). Publishing the check takes that
away, and its end, whichever it is, sets the next time: so there is one check of a thing at a time.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Least, Now

from outbox.models import Priority
from outbox.services import Event, publish_many
from payments import events, providers
from payments.checkout import CHECK_AFTER
from payments.models import Payment, PaymentState, Refund

logger = logging.getLogger(__name__)

BATCH = 500
# The waits double from CHECK_AFTER up to this.
LONGEST_WAIT = timedelta(hours=6)
# A checkout that ends by its time is looked at once more so much later.
AFTER_THE_END = timedelta(minutes=1)
NOT_PAID_YET = (PaymentState.AWAITING, PaymentState.FAILED, PaymentState.CANCELLED)


def publish_checks() -> None:
    """Have every payment and refund checked whose time it is.

    settings.PERIODIC_TASKS says how often this runs.
    """
    while _publish_payment_checks() == BATCH:
        pass
    while _publish_refund_checks() == BATCH:
        pass


@transaction.atomic
def _publish_payment_checks() -> int:
    # Two runs at the same time take different payments.
    due = list(
        Payment.objects.select_for_update(skip_locked=True)
        .filter(check_at__lte=Now())
        .order_by("check_at")[:BATCH]
    )
    publish_many(
        [
            Event(
                "payment_check_due",
                payload={"paymentId": str(payment.pk)},
                aggregate_id=payment.application_id,
                priority=Priority.LOW,
            )
            for payment in due
        ]
    )
    Payment.objects.filter(pk__in=[payment.pk for payment in due]).update(check_at=None)
    return len(due)


@transaction.atomic
def _publish_refund_checks() -> int:
    due = list(
        Refund.objects.select_for_update(skip_locked=True, of=["self"])
        .filter(check_at__lte=Now())
        .select_related("charge__payment")
        .order_by("check_at")[:BATCH]
    )
    publish_many(
        [
            Event(
                "refund_check_due",
                payload={"refundId": refund.pk},
                aggregate_id=refund.charge.payment.application_id,
                priority=Priority.LOW,
            )
            for refund in due
        ]
    )
    Refund.objects.filter(pk__in=[refund.pk for refund in due]).update(check_at=None)
    return len(due)


def ask_provider(payment: Payment) -> providers.CheckoutReport | None:
    """Return the payment's checkout as the provider has it; None if there is nothing to ask.

    No transaction may be open.
    """
    if payment.state not in NOT_PAID_YET or not payment.session_id:
        return None
    try:
        return providers.get_provider(payment.provider).find_checkout(payment.session_id)
    except providers.ProviderRejected as error:
        # It does not know the checkout, and will not know it next time.
        logger.error("checkout unknown to provider payment=%s error=%s", payment.pk, error)
        return None


def record_answer(payment: Payment, report: providers.CheckoutReport) -> None:
    """Take over what the provider says; ask again later while it can change.

    Called in a transaction.
    """
    events.record_report(payment, report)
    if report.status == "open":
        watch(payment)


def watch(payment: Payment) -> None:
    """Have the payment's present checkout asked about later. Called in a transaction."""
    current = Payment.objects.select_for_update().get(pk=payment.pk)
    if current.state not in NOT_PAID_YET or current.session_id != payment.session_id:
        return  # the next checkout has set its own time
    wait = min(CHECK_AFTER * 2**current.check_count, LONGEST_WAIT)
    # The database's clock. Least leaves out what is NULL.
    next_at = Now() + wait
    still_open = Payment.objects.filter(pk=payment.pk, checkout_expires_at__gt=Now())
    if still_open.exists():
        next_at = Least(next_at, F("checkout_expires_at") + AFTER_THE_END)
    Payment.objects.filter(pk=payment.pk).update(
        check_at=next_at, check_count=min(current.check_count + 1, 10)
    )
