"""What the provider tells us: stored at once, worked off through the outbox, in whatever order."""

from __future__ import annotations

import logging
import uuid
from dataclasses import asdict

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import User
from applications import services as applications
from applications.models import EventType
from applications.models import PaymentState as Fact
from outbox.models import Priority
from outbox.services import Event, publish
from payments import providers, refunds
from payments.models import PAYABLE, Charge, Payment, PaymentState, ProviderEvent

logger = logging.getLogger(__name__)

Outcome = ProviderEvent.Outcome


class NotHeld(Exception):
    """The event doesn't wait for staff: it fitted, or was settled already."""


def receive_event(*, provider: str, event: providers.ProviderEvent) -> bool:
    """Store a verified webhook and the work that it calls for; False if it came before.

    Nothing else happens here, so that the provider gets its answer at once.
    """
    with transaction.atomic():
        stored, created = _store(provider, event)
        if created:
            publish(
                Event(
                    "payment_event_received",
                    payload={"providerEventId": stored.pk},
                    aggregate_id=_application_of(provider, event),
                    priority=Priority.HIGH,
                    dedupe_key=f"payment_event_received:{stored.pk}",
                )
            )
    return created


def record_report(payment: Payment, report: providers.CheckoutReport) -> None:
    """Take over what the provider answered about a checkout. Called in a transaction.

    A payment that no webhook has told of is applied as if one had.
    """
    if report.status == "expired":
        _apply_expired(payment, report.session_id)
    if report.status != "paid" or report.payment_reference is None:
        return
    event = providers.ProviderEvent(
        event_id=f"asked:{report.payment_reference}",
        type="paid",
        session_id=report.session_id,
        payment_reference=report.payment_reference,
        reference=report.reference,
        amount=report.amount,
        currency=report.currency,
    )
    stored, created = _store(payment.provider, event)
    if created:
        apply_event(provider_event_id=stored.pk)


def _store(provider: str, event: providers.ProviderEvent) -> tuple[ProviderEvent, bool]:
    return ProviderEvent.objects.get_or_create(
        provider=provider,
        event_id=event.event_id,
        defaults={"type": event.type, "payload": asdict(event)},
    )


def _application_of(provider: str, event: providers.ProviderEvent) -> uuid.UUID | None:
    payment = _find(provider, event)
    return payment.application_id if payment else None


def _find(provider: str, event: providers.ProviderEvent) -> Payment | None:
    """Return the payment that the event names; one without a name is about a charge of ours."""
    if not event.reference and event.payment_reference:
        charges = Charge.objects.select_related("payment").filter(provider=provider)
        charge = charges.filter(provider_reference=event.payment_reference).first()
        return charge.payment if charge else None
    try:
        return Payment.objects.filter(pk=uuid.UUID(event.reference)).first()
    except ValueError:
        return None


def apply_event(*, provider_event_id: int) -> None:
    """Let a stored event take effect. Called in a transaction.

    What does not fit a payment of ours is held for staff and logged as an error: it is about money
    that was not asked for like this.
    """
    stored = ProviderEvent.objects.select_for_update().get(pk=provider_event_id)
    event = providers.ProviderEvent(**stored.payload)
    payment = _find(stored.provider, event)
    if payment is not None:
        payment = Payment.objects.select_for_update().get(pk=payment.pk)
    if payment is None or not _fits(payment, stored.provider, event):
        logger.error("event does not fit event=%s reference=%s", event.event_id, event.reference)
        stored.outcome = Outcome.MISMATCH
    else:
        stored.outcome = Outcome.APPLIED if _apply(payment, event) else Outcome.IGNORED
    stored.payment = payment
    stored.save()


def _fits(payment: Payment, provider: str, event: providers.ProviderEvent) -> bool:
    if (payment.provider, payment.currency) != (provider, event.currency):
        return False
    if event.type in {"refunded", "refund_failed"}:
        return refunds.fits(payment, event)
    return payment.amount == event.amount


def _apply(payment: Payment, event: providers.ProviderEvent) -> bool:
    """Change what the event says something new about; return whether it did."""
    match event.type:
        case "paid":
            return _apply_paid(payment, event.payment_reference or event.session_id)
        case "declined":
            return _apply_declined(payment, event.session_id)
        case "refunded" | "refund_failed":
            return refunds.apply_event(payment, event)
        case "expired":
            return _apply_expired(payment, event.session_id)


def _apply_paid(payment: Payment, reference: str) -> bool:
    """Note the captured money; pay back what is too much or for a withdrawn application."""
    is_surplus = payment.charges.exists()
    charge, created = Charge.objects.get_or_create(
        provider=payment.provider,
        provider_reference=reference,
        defaults={"payment": payment, "amount": payment.amount, "is_surplus": is_surplus},
    )
    if not created:
        return False
    if is_surplus:
        logger.error("charged twice payment=%s charge=%s", payment.pk, charge.pk)
        refunds.request_refund(charge, reason="The fee was paid twice.")
        return True
    payment.state = PaymentState.PAID
    payment.paid_at = Now()  # the database's clock
    payment.check_at = None
    payment.save()
    applications.record_payment(
        application_id=payment.application_id, payment=Fact.PAID, event=EventType.PAYMENT_RECEIVED
    )
    refunds.apply_held(payment, charge)
    if applications.is_withdrawn(payment.application_id):
        refunds.refund_payment(payment, reason="The application was withdrawn.")
    return True


def _apply_expired(payment: Payment, session_id: str) -> bool:
    """Note that the present checkout is over, so that the student gets another one."""
    return bool(
        Payment.objects.filter(
            pk=payment.pk, session_id=session_id, state__in=PAYABLE, checkout_expires_at__gt=Now()
        ).update(checkout_expires_at=Now())
    )


def _apply_declined(payment: Payment, session_id: str) -> bool:
    """Note the decline unless it is of an older checkout; a provider may not say of which."""
    if payment.state not in PAYABLE or session_id not in {"", payment.session_id}:
        return False
    payment.state = PaymentState.FAILED
    payment.save()
    applications.record_payment(
        application_id=payment.application_id, payment=Fact.FAILED, event=EventType.PAYMENT_DECLINED
    )
    publish(
        Event(
            "payment_declined",
            payload={"checkoutNumber": payment.checkout_number},
            aggregate_id=payment.application_id,
            dedupe_key=f"payment_declined:{payment.pk}:{payment.checkout_number}",
        )
    )
    return True


def settle(*, provider_event_id: int, reason: str, user: User) -> None:
    """Note what staff did about an event that was held. Called in a transaction.

    Raises `NotHeld` if it isn't held (any more).
    """
    stored = ProviderEvent.objects.select_for_update().get(pk=provider_event_id)
    if stored.outcome != Outcome.MISMATCH:
        raise NotHeld
    stored.outcome = Outcome.SETTLED
    stored.settled_by, stored.settled_reason = user, reason
    stored.save()
