"""A real mail server that keeps what it accepts."""

from __future__ import annotations

import email
from collections import Counter

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from runtime.ports import free_port


class Mailbox:
    """Listens on 127.0.0.1:`port` between `start()` and `stop()`."""

    def __init__(self) -> None:
        self.message_ids: list[str] = []
        self.port = free_port()
        self._server = Controller(self, hostname="127.0.0.1", port=self.port)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content)
        self.message_ids.append(message["Message-ID"].strip())
        return "250 accepted"

    def copies(self) -> Counter[str]:
        """Return how often each Message-ID was accepted."""
        return Counter(self.message_ids)
