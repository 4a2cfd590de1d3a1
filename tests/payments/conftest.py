from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from payments.models import Payment
from tests.factories import ApplicationFactory, PaymentFactory
from tests.payments.sandbox_service import (
    API_KEY,
    SECRET,
    Receiver,
    Sandbox,
    receiving,
    running_sandbox,
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the running sandbox keeps what it knows."""
    return tmp_path_factory.mktemp("sandbox") / "sandbox.sqlite3"


@pytest.fixture(scope="module")
def sandbox(database: Path) -> Iterator[Sandbox]:
    """A running sandbox."""
    with running_sandbox(database) as service:
        yield service


@pytest.fixture
def good_behaviour(sandbox: Sandbox) -> Iterator[None]:
    """The sandbox behaves well again after the test."""
    yield
    sandbox.behave()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes in webhooks."""
    with receiving() as server:
        yield server


@pytest.fixture
def provider(sandbox: Sandbox, good_behaviour: None, settings) -> Sandbox:
    """A running sandbox that Sluice is set up to use."""
    settings.SANDBOX_URL = sandbox.url
    settings.SANDBOX_API_KEY = API_KEY
    settings.SANDBOX_WEBHOOK_SECRETS = [SECRET]
    return sandbox


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
