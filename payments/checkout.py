"""Making a payment, and the checkout where it is paid. Calls to the provider are made outside of
any transaction."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from threading import BoundedSemaphore

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from applications import services as applications
from applications.models import Application, EventType
from applications.models import PaymentState as Fact
from outbox.services import Event, publish
from payments import events, providers
from payments.models import PAYABLE, Payment, PaymentState

logger = logging.getLogger(__name__)

# A webhook should be here long before; after this we ask.
CHECK_AFTER = timedelta(minutes=10)
# A click on "Pay" may have to ask the provider up to three times; no more than so many threads of a
# web process may wait for it.
MAX_ASKING = 2
ASKING_SECONDS = 1.0
_asking = BoundedSemaphore(MAX_ASKING)


class NothingToPay(Exception):
    """The fee of this application can't be paid now: not yet, or not any more."""


class MoneyOnItsWay(NothingToPay):
    """The student has paid, by a transfer for example, and the money has not come yet."""


def prepare_payment(*, application_id: uuid.UUID) -> Payment:
    """Return the application's payment, made if it is not there. Safe to call again.

    While it has no checkout, it follows the setting of the provider.
    """
    application = Application.objects.get(pk=application_id)
    providers.get_provider()  # a wrong setting is an error, and no payment
    payment, _created = Payment.objects.get_or_create(
        application=application,
        defaults={
            "provider": settings.PAYMENT_PROVIDER,
            "amount": application.fee_amount,
            "currency": application.fee_currency,
        },
    )
    if payment.state == PaymentState.PROCESSING and payment.provider != settings.PAYMENT_PROVIDER:
        payment.provider = settings.PAYMENT_PROVIDER
        payment.save(update_fields=["provider"])
    return payment


def request_checkout(payment: Payment) -> providers.Checkout:
    """Ask the provider for the payment's checkout. No transaction may be open: this can take long.

    The same payment and checkout number get the same checkout however often this is called, so a
    crash between this call and our commit makes no second one. If what we ask for has changed since
    (the site has another address), the next number is taken: nobody was told of that checkout.
    """
    try:
        return _create_checkout(payment)
    except providers.KeyReused:
        logger.warning("checkout asked for anew payment=%s", payment.pk)
        Payment.objects.filter(pk=payment.pk, checkout_number=payment.checkout_number).update(
            checkout_number=F("checkout_number") + 1
        )
        payment.refresh_from_db()
        return _create_checkout(payment)


def _create_checkout(payment: Payment) -> providers.Checkout:
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
    """Store the checkout and let the fee be paid. Called in a transaction.

    If the application was withdrawn while the provider was asked, the checkout is ended instead.
    """
    current = Payment.objects.select_for_update().get(pk=payment.pk)
    if current.checkout_number != payment.checkout_number:
        return
    if applications.is_withdrawn(current.application_id):
        abandon_checkout(current, checkout.session_id)
        return
    current.session_id = checkout.session_id
    current.checkout_url = checkout.url
    current.checkout_expires_at = checkout.expires_at
    was_processing = current.state == PaymentState.PROCESSING
    if was_processing:
        current.state = PaymentState.AWAITING
    if current.state in PAYABLE:
        current.check_at = Now() + CHECK_AFTER  # the database's clock
        current.check_count = 0
    current.save()
    if was_processing:
        applications.record_payment(
            application_id=current.application_id,
            payment=Fact.AWAITING,
            event=EventType.PAYMENT_REQUESTED,
        )


def open_checkout(*, application_id: uuid.UUID) -> str:
    """Return the address where the student pays now: the open checkout, or a new one.

    Raises `NothingToPay`, and `providers.ProviderError` when a new checkout can't be had.
    """
    payment = Payment.objects.filter(application_id=application_id).first()
    if payment is None or payment.state not in PAYABLE or applications.is_withdrawn(application_id):
        raise NothingToPay
    payment = _with_open_checkout(payment)
    if payment.state not in PAYABLE or not payment.checkout_url:
        raise NothingToPay  # withdrawn or paid in between
    with transaction.atomic():
        applications.record_checkout_opened(application_id=application_id)
    return payment.checkout_url


def _with_open_checkout(payment: Payment) -> Payment:
    """Return the payment with a checkout that is open, as far as we know.

    Raises `MoneyOnItsWay`.
    """
    is_open = Q(state=PaymentState.AWAITING, checkout_expires_at__gt=Now()) & ~Q(checkout_url="")
    if current := Payment.objects.filter(is_open, pk=payment.pk).first():
        return current
    if not _asking.acquire(timeout=ASKING_SECONDS):
        raise providers.ProviderUnavailable("Too many others wait for the provider.")
    try:
        for _ in range(2):  # one that was asked for long ago, before a crash, may be over as well
            payment = _renewed(payment)
            if not _has_expired(payment):
                break
        return payment
    finally:
        _asking.release()


def _renewed(payment: Payment) -> Payment:
    """Replace a checkout that is over; tabs that do it at the same time get the same new one.

    The old one is ended at the provider first: it says whether somebody paid there in its last
    moment, and nobody can any more. One tab raises the number and drops the old checkout, in one
    step. Whoever finds none, also after a crash in between, asks for that of the present number and
    never raises it again.
    """
    if payment.session_id and _is_over(payment):
        _end_for_good(payment)
        Payment.objects.filter(
            pk=payment.pk, state__in=PAYABLE, session_id=payment.session_id
        ).update(
            checkout_number=F("checkout_number") + 1,
            session_id="",
            checkout_url="",
            checkout_expires_at=None,
        )
    payment.refresh_from_db()
    if payment.state in PAYABLE and not payment.checkout_url:
        checkout = request_checkout(payment)
        with transaction.atomic():
            record_checkout(payment, checkout)
        payment.refresh_from_db()
    return payment


def _has_expired(payment: Payment) -> bool:
    # By the database's clock.
    return Payment.objects.filter(pk=payment.pk, checkout_expires_at__lte=Now()).exists()


def _is_over(payment: Payment) -> bool:
    """Tell whether nobody can pay at the payment's checkout any more.

    After a decline the provider is asked: some checkouts end with it.
    """
    if _has_expired(payment):
        return True
    if payment.state != PaymentState.FAILED:
        return False
    try:
        report = providers.get_provider(payment.provider).find_checkout(payment.session_id)
    except providers.ProviderError as error:
        # Its page is shown as it is, rather than none.
        logger.warning("checkout not found payment=%s error=%s", payment.pk, error)
        return False
    return report.status != "open"


def _end_for_good(payment: Payment) -> None:
    try:
        report = end_checkout(payment, payment.session_id)
    except providers.ProviderRejected as error:
        # It is over by its time; a payment there that we hear of later is paid back as too much.
        logger.warning("expired checkout not ended payment=%s error=%s", payment.pk, error)
        return
    if report.status == "open":
        raise MoneyOnItsWay


def end_checkout(payment: Payment, session_id: str) -> providers.CheckoutReport:
    """End the checkout at the provider, take over what was paid there before, and return it.

    No transaction may be open: the provider is asked. Safe to call again. If it is still "open",
    its money is on its way, and the provider is asked about it later.
    """
    report = providers.get_provider(payment.provider).expire_checkout(session_id)
    with transaction.atomic():
        events.record_report(payment, report)
        if report.status == "open":
            Payment.objects.filter(pk=payment.pk).exclude(
                state__in=[PaymentState.PAID, PaymentState.REFUNDED]
            ).update(session_id=session_id, check_at=Now() + CHECK_AFTER)
    return report


def abandon_checkout(payment: Payment, session_id: str) -> None:
    """See to it that nobody can pay at this checkout of the payment. Called in a transaction."""
    publish(
        Event(
            "checkout_abandoned",
            payload={"paymentId": str(payment.pk), "sessionId": session_id},
            aggregate_id=payment.application_id,
            dedupe_key=f"checkout_abandoned:{payment.pk}:{session_id}",
        )
    )
