"""Background work on payments."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from applications import services as applications
from applications.models import EventType
from applications.models import PaymentState as Fact
from outbox.exceptions import PermanentError, Unavailable
from outbox.registry import Finish, Message, handler
from payments import checkout, events, providers, reconciliation, refunds, withdrawal
from payments.models import Payment, Refund

logger = logging.getLogger(__name__)


def _application_id(message: Message) -> uuid.UUID:
    if message.aggregate_id is None:
        raise PermanentError("The row names no application.")
    return message.aggregate_id


@contextmanager
def _asking_provider() -> Iterator[None]:
    """Say of the provider's errors what they mean for a retry."""
    try:
        yield
    except providers.ProviderRejected as error:
        raise PermanentError(str(error)) from error
    except providers.ProviderUnavailable as error:
        raise Unavailable(str(error), retry_after_seconds=error.retry_after_seconds) from error


def _start(message: Message) -> None:
    applications.record_payment(
        application_id=_application_id(message),
        payment=Fact.PROCESSING,
        event=EventType.PAYMENT_STARTED,
    )


@handler("application_submitted", queue="create_payment", start=_start)
def create_payment(message: Message) -> Finish | None:
    """Make the payment of an application and its checkout at the provider."""
    if applications.is_withdrawn(_application_id(message)):
        return None
    payment = checkout.prepare_payment(application_id=_application_id(message))
    with _asking_provider():
        made = checkout.request_checkout(payment)
    return partial(checkout.record_checkout, payment, made)


@handler("application_withdrawn", queue="create_payment")
def close_payment(message: Message) -> Finish | None:
    """End the checkout of a withdrawn application, and pay back what was paid."""
    with _asking_provider():
        payment = withdrawal.end_open_checkout(application_id=_application_id(message))
    return partial(withdrawal.close_payment, payment) if payment else None


@handler("checkout_abandoned", queue="create_payment")
def end_checkout(message: Message) -> None:
    """End a checkout that was made for an application while it was withdrawn."""
    payment = Payment.objects.get(pk=message.payload["paymentId"])
    with _asking_provider():
        checkout.end_checkout(payment, message.payload["sessionId"])


@handler("refund_requested", queue="create_payment")
def send_refund(message: Message) -> Finish | None:
    """Have the provider pay back what was asked for."""
    return _refund(message)


def _watch_refund(message: Message) -> None:
    refunds.watch(Refund.objects.get(pk=message.payload["refundId"]))


@handler("refund_check_due", queue="create_payment", on_dead=_watch_refund)
def check_refund(message: Message) -> Finish | None:
    """Ask the provider how a refund that was on its way has ended."""
    try:
        return _refund(message)
    except providers.ProviderError as error:
        return _later(partial(_watch_refund, message), error)


def _later(watch: Finish, error: providers.ProviderError) -> Finish:
    """Leave it to the next check, which comes anyway: a dead letter would tell staff nothing."""
    logger.warning("provider not asked error=%s", error)
    return watch


def _refund(message: Message) -> Finish | None:
    refund = Refund.objects.select_related("charge__payment").get(pk=message.payload["refundId"])
    if refund.state not in refunds.UNSETTLED:
        return None  # a webhook told us of its end before we knew of its beginning
    try:
        with _asking_provider():
            report = refunds.send_refund(refund)
    except PermanentError as error:
        return partial(refunds.record_refusal, refund, str(error))
    return partial(refunds.record_refund, refund, report)


def _watch_payment(message: Message) -> None:
    reconciliation.watch(Payment.objects.get(pk=message.payload["paymentId"]))


@handler("payment_check_due", queue="create_payment", on_dead=_watch_payment)
def check_payment(message: Message) -> Finish | None:
    """Ask the provider whether it knows more about a payment than its webhooks have told us."""
    payment = Payment.objects.get(pk=message.payload["paymentId"])
    try:
        with _asking_provider():
            report = reconciliation.ask_provider(payment)
    except providers.ProviderError as error:
        return _later(partial(reconciliation.watch, payment), error)
    return partial(reconciliation.record_answer, payment, report) if report else None


@handler("payment_event_received", queue="apply_payment_event")
def apply_payment_event(message: Message) -> Finish:
    """Let a webhook of the provider take effect."""
    event_id = int(message.payload["providerEventId"])
    return partial(events.apply_event, provider_event_id=event_id)
