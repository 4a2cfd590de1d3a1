"""Outbox rows of mails, as their publishers write them, and the mails that come of them."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from typing import Any

from django.core import mail
from django.db.models.functions import Now

from applications.models import Application
from notifications.models import Occasion
from outbox.models import Outbox, Outcome, State
from outbox.registry import handlers_of
from tests.factories import OutboxFactory
from tests.working import deliver_one

EVENT_TYPES = {
    Occasion.RECEIVED: "application_submitted",
    Occasion.ACTION_NEEDED: "document_rejected",
    Occasion.PAY_NOW: "payment_requested",
    Occasion.PAYMENT_FAILED: "payment_declined",
    Occasion.COMPLETED: "application_completed",
    Occasion.WITHDRAWN: "application_withdrawn",
    Occasion.REFUNDED: "payment_refunded",
}
PAYLOADS: dict[Occasion, dict[str, Any]] = {
    Occasion.PAYMENT_FAILED: {"checkoutNumber": 3},
    Occasion.REFUNDED: {"refundId": 7, "amount": 123456, "currency": "EUR"},
}


def payload_of(application: Application, occasion: Occasion) -> dict[str, Any]:
    """The payload of such an event; a rejected document is the application's first file."""
    if occasion == Occasion.ACTION_NEEDED:
        return {"fileId": str(application.files.all()[0].pk)}
    return PAYLOADS.get(occasion, {})


def publish(
    application: Application, occasion: Occasion, payload: Mapping[str, Any] | None = None
) -> Outbox:
    """Write the row of the occasion's handler."""
    event_type = EVENT_TYPES[occasion]
    (handler,) = (one for one in handlers_of(event_type) if one.queue == "send_email")
    return OutboxFactory.create(
        event_type=event_type,
        handler=handler.name,
        queue="send_email",
        aggregate_id=application.pk,
        payload=payload_of(application, occasion) if payload is None else payload,
        max_attempts=2,
    )


def attempt(row: Outbox) -> Outcome | None:
    """Make one attempt at the row, however soon it would be due again."""
    Outbox.objects.filter(pk=row.pk).update(state=State.QUEUED, queued_at=Now())
    outcome = deliver_one(row.queue, row.pk)
    row.refresh_from_db()
    return outcome


def sent() -> Message:
    """The one mail that was sent, as it goes over the wire."""
    (message,) = mail.outbox
    return message.message()


def bodies(message: Message) -> dict[str, str]:
    """The texts of a mail by their types."""
    parts: list[Any] = [part for part in message.walk() if not part.is_multipart()]
    return {part.get_content_type(): part.get_payload(decode=True).decode() for part in parts}
