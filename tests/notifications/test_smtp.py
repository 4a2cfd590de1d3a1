"""A mail on its way to a real SMTP server."""

from __future__ import annotations

import email
import smtplib
from collections.abc import Iterator
from email import policy

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from django.core.mail import get_connection

from notifications import services
from notifications.models import Occasion
from runtime.ports import free_port
from tests.factories import ApplicationFactory, UserFactory


class Mailbox(Message):
    """Keeps what the server was sent, with the addresses of the envelope."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[email.message.EmailMessage] = []

    def handle_message(self, message: email.message.Message) -> None:
        parsed = email.message_from_bytes(message.as_bytes(), policy=policy.default)
        assert isinstance(parsed, email.message.EmailMessage)
        self.messages.append(parsed)


@pytest.fixture
def mailbox(settings) -> Iterator[Mailbox]:
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = server.hostname, server.port
    yield mailbox
    server.stop()


@pytest.mark.django_db
def test_mail_reaches_the_server_as_it_was_composed(mailbox):
    student = UserFactory.create(name="Zoë Ünal", email="zoe@example.com")
    application = ApplicationFactory.create(student=student)

    services.send(application_id=application.pk, occasion=Occasion.PAY_NOW)

    (message,) = mailbox.messages
    assert (message["X-MailFrom"], message["X-RcptTo"]) == (
        "admissions@example.com",
        "zoe@example.com",
    )
    assert message["From"] == "Sluice Admissions <admissions@example.com>"
    assert message["To"] == "zoe@example.com"
    assert message["Subject"] == "Your application: please pay the fee"
    assert message["Message-ID"] == f"<{application.pk}.pay_now@example.com>"
    text = message.get_body(("plain",))
    html = message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().startswith("Dear Zoë Ünal,\n")
    assert "can be paid now" in html.get_content()


class Refusing(Mailbox):
    """Answers every mail with one and the same reply."""

    def __init__(self, reply: str) -> None:
        super().__init__()
        self.reply = reply

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
        return self.reply


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("421 We close", services.MailServerUnavailable),
        ("550 No such mailbox", smtplib.SMTPRecipientsRefused),
    ],
)
def test_mail_server_that_serves_nobody_is_told_from_one_that_refuses_an_address(
    settings, reply: str, error: type[Exception]
):
    server = Controller(Refusing(reply), hostname="127.0.0.1", port=free_port())
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = server.hostname, server.port
    application = ApplicationFactory.create()

    with pytest.raises(error):
        services.send(application_id=application.pk, occasion=Occasion.RECEIVED)
    server.stop()


@pytest.mark.django_db
def test_mail_server_that_is_away_is_unavailable(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    application = ApplicationFactory.create()

    with pytest.raises(services.MailServerUnavailable):
        services.send(application_id=application.pk, occasion=Occasion.RECEIVED)
    assert get_connection().timeout == 5
