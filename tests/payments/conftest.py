from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from payments.models import Payment
from tests.factories import ApplicationFactory, PaymentFactory
from tests.payments.sandbox_service import API_KEY, SECRET, Sandbox, running_sandbox


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    database: Path = tmp_path_factory.mktemp("provider") / "sandbox.sqlite3"
    with running_sandbox(database) as service:
        yield service


@pytest.fixture
def provider(running: Sandbox, settings) -> Sandbox:
    """A running sandbox that Sluice is set up to use."""
    settings.SANDBOX_URL = running.url
    settings.SANDBOX_API_KEY = API_KEY
    settings.SANDBOX_WEBHOOK_SECRET = SECRET
    return running


@pytest.fixture
def payment(db: None) -> Payment:
    """A fee that can be paid, at a checkout that is open for a long time."""
    application = ApplicationFactory.create(
        documents="verified", payment="awaiting", status="awaiting_payment", progress=75
    )
    return PaymentFactory.create(
        application=application,
        state="awaiting",
        session_id="cs_1",
        checkout_url="http://provider.example/checkout/cs_1",
        checkout_expires_at="2999-01-01T00:00:00Z",
    )
