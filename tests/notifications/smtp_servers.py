"""Real SMTP servers that a test sends mails to."""

from __future__ import annotations

import email
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from aiosmtpd.smtp import AuthResult

from runtime.ports import free_port


class Mailbox(Message):
    """Keeps what the server was sent, with the addresses of the envelope."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[email.message.EmailMessage] = []

    def handle_message(self, message: email.message.Message) -> None:
        parsed = email.message_from_bytes(message.as_bytes(), policy=policy.default)
        assert isinstance(parsed, email.message.EmailMessage)
        self.messages.append(parsed)


class Refusing(Mailbox):
    """Gives one step of every mail the same reply: MAIL (the sender), RCPT or DATA (the content)."""

    def __init__(self, step: str, reply: str) -> None:
        super().__init__()
        self.step, self.reply = step, reply

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
        if self.step == "MAIL":
            return self.reply
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if self.step == "RCPT":
            return self.reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        return (
            self.reply
            if self.step == "DATA"
            else await super().handle_DATA(server, session, envelope)
        )


@contextmanager
def smtp_server(handler: Mailbox, settings: Any, **options: Any) -> Iterator[Controller]:
    """Run a server, to which the settings send all mails; `options` are those of aiosmtpd."""
    server = Controller(handler, hostname="127.0.0.1", port=free_port(), **options)
    server.start()
    use_smtp(settings, port=server.port)
    yield server
    server.stop()


def use_smtp(settings: Any, *, port: int) -> None:
    """Let the settings send mails over SMTP to this port, as with the variable EMAIL_HOST."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port


def refuse_sign_in(server, session, envelope, mechanism, auth_data) -> AuthResult:
    """An authenticator that knows nobody."""
    return AuthResult(success=False, handled=False)
