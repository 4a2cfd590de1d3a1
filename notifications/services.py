"""Sending mails, once per application and occasion."""

from __future__ import annotations

import smtplib
import uuid
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from applications.models import Application, DocumentsState
from applications.money import format_money
from notifications.models import Mail, Occasion

SUBJECTS = {
    Occasion.RECEIVED: "We received your application",
    Occasion.ACTION_NEEDED: "Your application: a document needs your attention",
    Occasion.PAY_NOW: "Your application: please pay the fee",
    Occasion.COMPLETED: "Your application is complete",
}


# RFC 5321: the server closes and serves nobody.
SERVICE_NOT_AVAILABLE = 421


class MailServerUnavailable(Exception):
    """The mail server refuses to serve anybody just now."""


@dataclass(frozen=True)
class SentMail:
    """A mail that the server has accepted and that no row says so yet."""

    application_id: uuid.UUID
    occasion: Occasion
    recipient: str
    subject: str
    message_id: str


def send(*, application_id: uuid.UUID, occasion: Occasion) -> SentMail | None:
    """Send the mail of this occasion; None if it went out before.

    No transaction may be open: a mail server can take long. If the process dies between the
    server's acceptance and `record`, the mail is sent again, with the same Message-ID. Raises
    `MailServerUnavailable` if the server refuses connections, or everybody.
    """
    if Mail.objects.filter(application_id=application_id, occasion=occasion).exists():
        return None
    application = Application.objects.select_related("student").get(pk=application_id)
    mail = SentMail(
        application_id=application_id,
        occasion=occasion,
        recipient=application.student.email,
        subject=SUBJECTS[occasion],
        message_id=message_id(application_id, occasion),
    )
    try:
        _compose(mail, _context(application)).send()
    except (ConnectionRefusedError, smtplib.SMTPException) as error:
        if _serves_nobody(error):
            raise MailServerUnavailable(str(error)) from error
        raise
    return mail


def _serves_nobody(error: Exception) -> bool:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return {code for code, _ in error.recipients.values()} == {SERVICE_NOT_AVAILABLE}
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code == SERVICE_NOT_AVAILABLE
    return isinstance(error, ConnectionRefusedError)


def record(mail: SentMail) -> None:
    """Note that the mail went out. Called in the transaction that ends the attempt."""
    Mail.objects.create(
        application_id=mail.application_id,
        occasion=mail.occasion,
        recipient=mail.recipient,
        subject=mail.subject,
        message_id=mail.message_id,
    )


def message_id(application_id: uuid.UUID, occasion: Occasion) -> str:
    """Return the Message-ID of this mail, the same each time it is sent."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    return f"<{application_id}.{occasion}@{domain}>"


def _context(application: Application) -> dict[str, Any]:
    return {
        "name": application.student.name,
        "fee": format_money(application.fee_amount, application.fee_currency),
        "status_url": f"{settings.BASE_URL}/applications/{application.id}/status",
        "pay_url": f"{settings.BASE_URL}/payments/checkout/{application.id}",
        "rejected": list(application.files.filter(state=DocumentsState.FAILED)),
    }


def _compose(mail: SentMail, context: dict[str, Any]) -> EmailMultiAlternatives:
    context = {**context, "subject": mail.subject}
    template = f"notifications/{mail.occasion}"
    message = EmailMultiAlternatives(
        subject=mail.subject,
        body=render_to_string(f"{template}.txt", context),
        to=[mail.recipient],
        headers={"Message-ID": mail.message_id, "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(render_to_string(f"{template}.html", context), "text/html")
    return message
