"""Background work on mails: one handler for each occasion that a student is told of."""

from __future__ import annotations

from functools import partial

from notifications import services
from notifications.models import Occasion
from outbox.exceptions import PermanentError, Unavailable
from outbox.registry import Finish, Message, handler


def _send(message: Message, occasion: Occasion) -> Finish | None:
    if message.aggregate_id is None:
        raise PermanentError("The row names no application.")
    try:
        sent = services.send(application_id=message.aggregate_id, occasion=occasion)
    except services.MailServerUnavailable as error:
        raise Unavailable(str(error)) from error
    return partial(services.record, sent) if sent else None


@handler("application_submitted", queue="send_email")
def send_received_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.RECEIVED)


@handler("document_rejected", queue="send_email")
def send_action_needed_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.ACTION_NEEDED)


@handler("payment_requested", queue="send_email")
def send_pay_now_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.PAY_NOW)


@handler("application_completed", queue="send_email")
def send_completed_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.COMPLETED)
