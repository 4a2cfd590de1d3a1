from __future__ import annotations

from collections.abc import Iterator

import pytest

from applications.models import Application
from tests.factories import ApplicationFactory, ApplicationFileFactory, UserFactory
from tests.notifications.smtp_servers import Mailbox, smtp_server

FAILED = {"code": "damaged", "verdict": "failed", "detail": "The PDF is damaged."}
LOCKED = {"code": "encrypted", "verdict": "failed", "detail": "It asks for a password."}
PASSED = {"code": "not_empty", "verdict": "passed", "detail": "It is not empty."}


@pytest.fixture
def application(db: None) -> Application:
    """An application with a document that failed two checks, and one that passed all."""
    student = UserFactory.create(name="Ada Lovelace", email="ada@example.com")
    application = ApplicationFactory.create(student=student)
    for name, state, checks in (
        ("bad.pdf", "failed", [PASSED, FAILED, LOCKED]),
        ("good.pdf", "verified", [PASSED]),
    ):
        ApplicationFileFactory.create(
            application=application, name=name, state=state, checks=checks
        )
    return application


@pytest.fixture
def mailbox(settings) -> Iterator[Mailbox]:
    """What arrives at a real SMTP server, which the settings send to."""
    mailbox = Mailbox()
    with smtp_server(mailbox, settings):
        yield mailbox
