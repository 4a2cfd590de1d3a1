"""Background work on payments."""

from __future__ import annotations

import uuid
from functools import partial

from applications import services as applications
from applications.models import EventType
from applications.models import PaymentState as Fact
from outbox.exceptions import PermanentError, Unavailable
from outbox.registry import Finish, Message, handler
from payments import providers, services


def _application_id(message: Message) -> uuid.UUID:
    if message.aggregate_id is None:
        raise PermanentError("The row names no application.")
    return message.aggregate_id


def _start(message: Message) -> None:
    applications.record_payment(
        application_id=_application_id(message),
        payment=Fact.PROCESSING,
        event=EventType.PAYMENT_STARTED,
    )


@handler("application_submitted", queue="create_payment", start=_start)
def create_payment(message: Message) -> Finish:
    """Make the payment of an application and its checkout at the provider."""
    payment = services.prepare_payment(application_id=_application_id(message))
    try:
        checkout = services.request_checkout(payment)
    except providers.ProviderRejected as error:
        raise PermanentError(str(error)) from error
    except providers.ProviderUnavailable as error:
        raise Unavailable(str(error), retry_after_seconds=error.retry_after_seconds) from error
    return partial(services.record_checkout, payment, checkout)


@handler("payment_event_received", queue="create_payment")
def apply_payment_event(message: Message) -> Finish:
    """Let a webhook of the provider take effect."""
    event_id = int(message.payload["providerEventId"])
    return partial(services.apply_event, provider_event_id=event_id)
