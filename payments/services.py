"""Changes to payments. Calls to the provider are made outside of any transaction."""

from __future__ import annotations

import logging
import uuid
from dataclasses import asdict

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from applications import services as applications
from applications.models import Application, EventType
from applications.models import PaymentState as Fact
from outbox.models import Priority
from outbox.services import Event, publish
from payments import providers
from payments.models import Payment, PaymentState, ProviderEvent

logger = logging.getLogger(__name__)


class NothingToPay(Exception):
    """The fee of this application can't be paid now: not yet, or not any more."""


def prepare_payment(*, application_id: uuid.UUID) -> Payment:
    """Return the application's payment, made if it is not there. Safe to call again."""
    application = Application.objects.get(pk=application_id)
    payment, _created = Payment.objects.get_or_create(
        application=application,
        defaults={
            "provider": settings.PAYMENT_PROVIDER,
            "amount": application.fee_amount,
            "currency": application.fee_currency,
        },
    )
    return payment


def request_checkout(payment: Payment) -> providers.Checkout:
    """Ask the provider for the payment's checkout. No transaction may be open: this can take long.

    The same payment and checkout number get the same checkout however often this is called, so a
    crash between this call and our commit makes no second one.
    """
    status_url = f"{settings.BASE_URL}/applications/{payment.application_id}/status"
    return providers.get_provider(payment.provider).create_checkout(
        providers.CheckoutRequest(
            idempotency_key=payment.idempotency_key,
            reference=str(payment.id),
            amount=payment.amount,
            currency=payment.currency,
            description="Application fee",
            success_url=status_url,
            cancel_url=status_url,
            webhook_url=f"{settings.BASE_URL}/payments/webhooks/{payment.provider}",
        )
    )


def record_checkout(payment: Payment, checkout: providers.Checkout) -> None:
    """Store the checkout and let the fee be paid. Called in a transaction."""
    current = Payment.objects.filter(pk=payment.pk, checkout_number=payment.checkout_number)
    current.update(
        session_id=checkout.session_id,
        checkout_url=checkout.url,
        checkout_expires_at=checkout.expires_at,
    )
    if current.filter(state=PaymentState.PROCESSING).update(state=PaymentState.AWAITING):
        applications.record_payment(
            application_id=payment.application_id,
            payment=Fact.AWAITING,
            event=EventType.PAYMENT_REQUESTED,
        )


def open_checkout(*, application_id: uuid.UUID) -> str:
    """Return the address where the student pays now: the open checkout, or a new one.

    Raises `NothingToPay`, and `providers.ProviderError` when a new checkout can't be had.
    """
    payment = Payment.objects.filter(application_id=application_id).first()
    if payment is None or payment.state not in {PaymentState.AWAITING, PaymentState.FAILED}:
        raise NothingToPay
    payment = _with_open_checkout(payment)
    with transaction.atomic():
        applications.record_checkout_opened(application_id=application_id)
    return payment.checkout_url


def _with_open_checkout(payment: Payment) -> Payment:
    """Replace an expired checkout; tabs that do it at the same time get the same new one.

    One of them raises the number and drops the old checkout, in one step. Whoever finds none, also
    after a crash in between, asks for that of the present number and never raises it again.
    """
    Payment.objects.filter(pk=payment.pk, checkout_expires_at__lte=Now()).update(
        checkout_number=F("checkout_number") + 1,
        session_id="",
        checkout_url="",
        checkout_expires_at=None,
    )
    payment.refresh_from_db()
    if not payment.checkout_url:
        checkout = request_checkout(payment)
        with transaction.atomic():
            record_checkout(payment, checkout)
        payment.refresh_from_db()
    return payment


def receive_event(*, provider: str, event: providers.ProviderEvent) -> bool:
    """Store a verified webhook and the work that it calls for; False if it came before.

    Nothing else happens here, so that the provider gets its answer at once.
    """
    with transaction.atomic():
        stored, created = ProviderEvent.objects.get_or_create(
            provider=provider,
            event_id=event.event_id,
            defaults={"type": event.type, "payload": asdict(event)},
        )
        if created:
            publish(
                Event(
                    "payment_event_received",
                    payload={"providerEventId": stored.pk},
                    aggregate_id=_application_of(event.reference),
                    priority=Priority.HIGH,
                    dedupe_key=f"{provider}:{event.event_id}",
                )
            )
    return created


def _application_of(reference: str) -> uuid.UUID | None:
    payment = _find(reference)
    return payment.application_id if payment else None


def _find(reference: str) -> Payment | None:
    try:
        return Payment.objects.filter(pk=uuid.UUID(reference)).first()
    except ValueError:
        return None


def apply_event(*, provider_event_id: int) -> None:
    """Let a stored event take effect, in whatever order events come. Called in a transaction."""
    stored = ProviderEvent.objects.select_for_update().get(pk=provider_event_id)
    event = providers.ProviderEvent(**stored.payload)
    payment = _find(event.reference)
    if payment is not None:
        payment = Payment.objects.select_for_update().get(pk=payment.pk)
    if payment is None or (payment.amount, payment.currency) != (event.amount, event.currency):
        # Money that was not asked for like this: a person has to look at it.
        logger.error("event does not fit event=%s reference=%s", event.event_id, event.reference)
        stored.outcome = ProviderEvent.Outcome.MISMATCH
    elif _apply(payment, event):
        stored.outcome = ProviderEvent.Outcome.APPLIED
    else:
        stored.outcome = ProviderEvent.Outcome.IGNORED
    stored.payment = payment
    stored.save()


def _apply(payment: Payment, event: providers.ProviderEvent) -> bool:
    """Change the payment if the event says something new; what is paid stays paid."""
    if payment.state == PaymentState.PAID:
        return False
    if event.type == "paid":
        payment.state = PaymentState.PAID
        payment.paid_at = Now()  # the database's clock
        payment.provider_reference = event.payment_reference or ""
        fact, timeline = Fact.PAID, EventType.PAYMENT_RECEIVED
    elif event.type == "declined" and event.session_id == payment.session_id:
        payment.state = PaymentState.FAILED
        fact, timeline = Fact.FAILED, EventType.PAYMENT_DECLINED
    else:
        return False  # an expired checkout is renewed when the student comes to pay
    payment.save()
    applications.record_payment(application_id=payment.application_id, payment=fact, event=timeline)
    return True
