"""Sending mails, once per application, occasion and thing that they are about."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import get_connection
from django.db.models.functions import Now

from applications.models import Application
from notifications.composing import compose, one_line
from notifications.errors import classed_errors
from notifications.models import ERROR_MAX_LENGTH, Mail, MailState, Occasion
from notifications.occasions import LETTERS, Notice


@dataclass(frozen=True)
class SentMail:
    """A mail that the server has accepted and that no row says so yet."""

    notice: Notice
    recipient: str
    subject: str
    message_id: str


def send(notice: Notice) -> SentMail | None:
    """Send the mail; None if it went out before, or is not wanted any more.

    No transaction may be open: a mail server can take long. If the process dies between the
    server's acceptance and `record`, the mail is sent again, with the same Message-ID. Raises the
    classes of `notifications.errors`.
    """
    if Mail.objects.sent().filter(**_key(notice)).exists():
        return None
    application = Application.objects.select_related("student").get(pk=notice.application_id)
    facts = LETTERS[notice.occasion].facts(application, notice)
    if facts is None:
        return None
    mail = _mail(application, notice)
    message = compose(application, notice, facts, message_id=mail.message_id)
    connection = get_connection()
    try:
        with classed_errors():
            connection.send_messages([message])
    finally:
        connection.close()  # Django leaves it open where the server does not let us sign in
    return mail


def record(mail: SentMail) -> None:
    """Note that the mail went out. Called in the transaction that ends the attempt."""
    Mail.objects.update_or_create(
        **_key(mail.notice),
        defaults={**_envelope(mail), "state": MailState.SENT, "sent_at": Now(), "error": ""},
    )


def withhold(notice: Notice, *, error: str) -> None:
    """Note for staff that the mail was given up, and why; a mail that was sent stays as it is.

    Called in the transaction that makes its row a dead letter. Without an application there is
    nobody whom the mail is for, and so no row.
    """
    application = (
        Application.objects.select_related("student").filter(pk=notice.application_id).first()
    )
    if application is None or Mail.objects.sent().filter(**_key(notice)).exists():
        return
    envelope = _envelope(_mail(application, notice))
    Mail.objects.update_or_create(
        **_key(notice),
        defaults={
            **envelope,
            "state": MailState.NOT_SENT,
            "sent_at": None,
            "error": one_line(error)[:ERROR_MAX_LENGTH],
        },
    )


def message_id(application_id: uuid.UUID, occasion: Occasion, about: str = "") -> str:
    """Return the Message-ID of this mail, the same each time it is sent.

    It is kept so short that it needs no folding, which not every program undoes.
    """
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    subject = uuid.uuid5(application_id, about) if about else application_id
    return f"<{subject}.{occasion.value}@{domain}>"


def _mail(application: Application, notice: Notice) -> SentMail:
    return SentMail(
        notice,
        recipient=application.student.email,
        subject=str(LETTERS[notice.occasion].subject),
        message_id=message_id(application.pk, notice.occasion, notice.about),
    )


def _key(notice: Notice) -> dict[str, Any]:
    return {
        "application_id": notice.application_id,
        "occasion": notice.occasion,
        "about": notice.about,
    }


def _envelope(mail: SentMail) -> dict[str, str]:
    return {
        "recipient": mail.recipient,
        "subject": mail.subject,
        "message_id": mail.message_id,
    }
