"""Background work on mails: one handler for each occasion that a student is told of.

When a row becomes a dead letter, its mail is marked as not sent in the same transaction.
"""

from __future__ import annotations

from functools import partial

from django.utils.translation import gettext as _

from notifications import services
from notifications.models import Occasion
from notifications.occasions import Notice
from outbox.exceptions import PermanentError
from outbox.models import Attempt
from outbox.registry import Finish, Message, handler

QUEUE = "send_email"
# What in the payload tells mails of one application and occasion apart.
ABOUT = {
    Occasion.ACTION_NEEDED: "fileId",
    Occasion.PAYMENT_FAILED: "checkoutNumber",
    Occasion.REFUNDED: "refundId",
}


def _notice(message: Message, occasion: Occasion) -> Notice:
    if message.aggregate_id is None:
        raise PermanentError("The row names no application.")
    about = str(message.payload[ABOUT[occasion]]) if occasion in ABOUT else ""
    return Notice(message.aggregate_id, occasion, about, message.payload)


def _send(message: Message, occasion: Occasion) -> Finish | None:
    sent = services.send(_notice(message, occasion))
    return partial(services.record, sent) if sent else None


def _withhold(occasion: Occasion, message: Message) -> None:
    if message.aggregate_id is None:
        return  # there is nobody whom the mail is for
    # The attempt that the row died of is written in this transaction, before this.
    attempt = Attempt.objects.filter(outbox_id=message.id, number=message.attempt).first()
    error = attempt.error_message if attempt else ""
    services.withhold(
        _notice(message, occasion),
        error=error or _("It could not be sent; its dead letter says more."),
    )


@handler("application_submitted", queue=QUEUE, on_dead=partial(_withhold, Occasion.RECEIVED))
def send_received_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.RECEIVED)


@handler("document_rejected", queue=QUEUE, on_dead=partial(_withhold, Occasion.ACTION_NEEDED))
def send_action_needed_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.ACTION_NEEDED)


@handler("payment_requested", queue=QUEUE, on_dead=partial(_withhold, Occasion.PAY_NOW))
def send_pay_now_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.PAY_NOW)


@handler("payment_declined", queue=QUEUE, on_dead=partial(_withhold, Occasion.PAYMENT_FAILED))
def send_payment_failed_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.PAYMENT_FAILED)


@handler("application_completed", queue=QUEUE, on_dead=partial(_withhold, Occasion.COMPLETED))
def send_completed_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.COMPLETED)


@handler("application_withdrawn", queue=QUEUE, on_dead=partial(_withhold, Occasion.WITHDRAWN))
def send_withdrawn_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.WITHDRAWN)


@handler("payment_refunded", queue=QUEUE, on_dead=partial(_withhold, Occasion.REFUNDED))
def send_refunded_mail(message: Message) -> Finish | None:
    return _send(message, Occasion.REFUNDED)
