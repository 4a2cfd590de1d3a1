"""Paying money back: once for each request, and never more than was captured."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now

from applications import services as applications
from applications.models import EventType
from applications.models import PaymentState as Fact
from outbox.services import Event, publish
from payments import providers
from payments.models import (
    Charge,
    Payment,
    PaymentState,
    ProviderEvent,
    Refund,
    RefundState,
)

logger = logging.getLogger(__name__)

# How long a refund may be on its way before the provider is asked about it, and then again.
CHECK_AFTER = timedelta(hours=1)
UNSETTLED = (RefundState.REQUESTED, RefundState.PENDING)


class NothingToRefund(Exception):
    """All that was captured has been paid back, or is about to be."""


def request_refund(charge: Charge, *, reason: str) -> Refund:
    """Ask for what is left of the charge to be paid back. Called in a transaction.

    Raises `NothingToRefund`.
    """
    charge = Charge.objects.select_for_update().get(pk=charge.pk)
    amount = charge.amount - charge.refunded_amount
    if not amount:
        raise NothingToRefund
    refund = Refund.objects.create(charge=charge, amount=amount, reason=reason)
    _count(charge, amount)
    publish(
        Event(
            "refund_requested",
            payload={"refundId": refund.pk},
            aggregate_id=charge.payment.application_id,
            dedupe_key=f"refund_requested:{refund.pk}",
        )
    )
    return refund


def refund_payment(payment: Payment, *, reason: str) -> None:
    """Ask for all that is left of the payment's charges to be paid back. Called in a transaction."""
    for charge in payment.charges.filter(refunded_amount__lt=F("amount")):
        request_refund(charge, reason=reason)


def send_refund(refund: Refund) -> providers.RefundReport:
    """Have the provider pay back, or ask how it went. No transaction may be open.

    The same refund moves money once, however often this is called: until the provider's id of it is
    known, by its idempotency key.
    """
    charge = refund.charge
    provider = providers.get_provider(charge.provider)
    if refund.provider_reference:
        return provider.find_refund(refund.provider_reference)
    return provider.refund(
        providers.RefundRequest(
            idempotency_key=refund.idempotency_key,
            payment_reference=charge.provider_reference,
            reference=str(charge.payment_id),
            amount=refund.amount,
            currency=charge.payment.currency,
        )
    )


def record_refund(refund: Refund, report: providers.RefundReport) -> None:
    """Store how the provider took the refund. Called in a transaction."""
    payment = Payment.objects.select_for_update().get(pk=refund.charge.payment_id)
    current = Refund.objects.select_for_update().select_related("charge").get(pk=refund.pk)
    _settle(payment, current, report.refund_reference, RefundState(report.status))
    watch(current)


def record_refusal(refund: Refund, problem: str) -> None:
    """Note that the provider will not pay back: staff have to look. Called in a transaction."""
    payment = Payment.objects.select_for_update().get(pk=refund.charge.payment_id)
    current = Refund.objects.select_for_update().select_related("charge").get(pk=refund.pk)
    current.problem = problem[: Refund._meta.get_field("problem").max_length]
    _settle(payment, current, current.provider_reference, RefundState.FAILED)


def watch(refund: Refund) -> None:
    """Have a refund asked about later, if it is on its way. Called in a transaction."""
    Refund.objects.filter(pk=refund.pk, state=RefundState.PENDING).update(
        check_at=Now() + CHECK_AFTER
    )


def fits(payment: Payment, event: providers.ProviderEvent) -> bool:
    """Tell whether a refund that the provider reports can be one of this payment's charges."""
    charge = payment.charges.filter(provider_reference=event.payment_reference or "").first()
    if charge is None:
        return False
    known = _known(charge, event)
    if known is not None:
        return known.amount == event.amount
    if event.type == "refund_failed":
        return True
    return charge.refunded_amount + event.amount <= charge.amount


def apply_event(payment: Payment, event: providers.ProviderEvent) -> bool:
    """Let the provider's word about a refund take effect. Called in a transaction.

    A refund that we did not ask for was made by hand at the provider: it is noted as such.
    """
    charge = payment.charges.get(provider_reference=event.payment_reference)
    refund = _known(charge, event)
    state = RefundState.SUCCEEDED if event.type == "refunded" else RefundState.FAILED
    if refund is None:
        if state == RefundState.FAILED:
            return False
        refund = Refund.objects.create(
            charge=charge, amount=event.amount, reason="Made by hand at the provider."
        )
        _count(charge, event.amount)
    return _settle(payment, refund, event.refund_reference, state)


def apply_held(payment: Payment, charge: Charge) -> None:
    """Let events about refunds of this charge take effect that came before they could fit.

    Called in a transaction, under the payment's lock.
    """
    held = ProviderEvent.objects.select_for_update().filter(
        provider=charge.provider,
        outcome=ProviderEvent.Outcome.MISMATCH,
        type__in=["refunded", "refund_failed"],
        payload__payment_reference=charge.provider_reference,
    )
    for stored in held.order_by("pk"):
        event = providers.ProviderEvent(**stored.payload)
        if event.currency == payment.currency and fits(payment, event):
            applied = apply_event(payment, event)
            outcomes = ProviderEvent.Outcome
            stored.outcome = outcomes.APPLIED if applied else outcomes.IGNORED
            stored.payment = payment
            stored.save()


def _known(charge: Charge, event: providers.ProviderEvent) -> Refund | None:
    """Return our refund that the event is about: by its reference, or the one whose call to the
    provider has not been recorded yet."""
    recorded = charge.refunds.filter(provider_reference=event.refund_reference).first()
    if recorded is not None or not event.reference:
        return recorded
    return (
        charge.refunds.filter(
            provider_reference="", state=RefundState.REQUESTED, amount=event.amount
        )
        .order_by("pk")
        .first()
    )


# What may follow on what. A bank may send money back days after it was paid out.
_NEXT = {
    RefundState.REQUESTED: {RefundState.PENDING, RefundState.SUCCEEDED, RefundState.FAILED},
    RefundState.PENDING: {RefundState.SUCCEEDED, RefundState.FAILED},
    RefundState.SUCCEEDED: {RefundState.FAILED},
    RefundState.FAILED: set(),
}


def _settle(payment: Payment, refund: Refund, reference: str, state: RefundState) -> bool:
    """Bring the refund to this state, if that can follow; return whether it changed."""
    before = RefundState(refund.state)
    if state not in _NEXT[before]:
        return False
    refund.provider_reference, refund.state = reference, state
    refund.check_at = None
    if state not in UNSETTLED:
        refund.settled_at = Now()  # the database's clock
    refund.save()
    if state == RefundState.FAILED:
        logger.error("refund failed refund=%s payment=%s", refund.pk, payment.pk)
        _take_back(payment, refund)
    elif state == RefundState.SUCCEEDED:
        _tell(payment, refund)
    return True


def _take_back(payment: Payment, refund: Refund) -> None:
    """The money is still, or again, with us: staff may ask for it to be paid back once more."""
    _count(refund.charge, -refund.amount)
    if payment.state == PaymentState.REFUNDED and not refund.charge.is_surplus:
        payment.state = PaymentState.PAID
        payment.save()
        applications.record_refund_failed(application_id=payment.application_id)
    apply_held(payment, refund.charge)


def _tell(payment: Payment, refund: Refund) -> None:
    charge = refund.charge
    left = charge.refunds.exclude(state=RefundState.FAILED).exclude(state=RefundState.SUCCEEDED)
    charge.refresh_from_db()
    if not charge.is_surplus and charge.refunded_amount == charge.amount and not left.exists():
        payment.state = PaymentState.REFUNDED
        payment.save()
        applications.record_payment(
            application_id=payment.application_id,
            payment=Fact.REFUNDED,
            event=EventType.PAYMENT_REFUNDED,
        )
    publish(
        Event(
            "payment_refunded",
            payload={
                "refundId": refund.pk,
                "amount": refund.amount,
                "currency": payment.currency,
            },
            aggregate_id=payment.application_id,
            dedupe_key=f"payment_refunded:{refund.pk}",
        )
    )


def _count(charge: Charge, amount: int) -> None:
    """Count what refunds pay back of the charge; the database refuses more than was captured."""
    Charge.objects.filter(pk=charge.pk).update(refunded_amount=F("refunded_amount") + amount)
