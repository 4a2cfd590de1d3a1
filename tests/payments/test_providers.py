from __future__ import annotations

from pathlib import Path

import pytest
from django.test import override_settings

from payments.providers import UnknownProvider, get_provider
from tests.payments.sandbox_provider import checkout_request
from tests.payments.sandbox_service import API_KEY, SECRET, running_sandbox


def test_get_provider_follows_the_settings(tmp_path: Path) -> None:
    request = checkout_request(idempotency_key="settings")

    with running_sandbox(tmp_path / "sandbox.sqlite3") as service:
        with override_settings(
            PAYMENT_PROVIDER="sandbox",
            SANDBOX_URL=service.url,
            SANDBOX_API_KEY=API_KEY,
            SANDBOX_WEBHOOK_SECRETS=[SECRET],
        ):
            provider = get_provider()
        checkout = provider.create_checkout(request)

    assert provider.name == "sandbox"
    assert checkout.url == f"{service.url}/checkout/{checkout.session_id}"


@pytest.mark.parametrize("name", ["sandbox", "stripe"])
def test_get_provider_knows_both_by_name(name: str) -> None:
    assert get_provider(name).name == name


def test_get_provider_refuses_unknown_names() -> None:
    with pytest.raises(UnknownProvider):
        get_provider("nobody")
