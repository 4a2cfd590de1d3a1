from __future__ import annotations

import pytest

from payments.checks import provider_is_set_up


def ids() -> list[str | None]:
    return [message.id for message in provider_is_set_up()]


def test_the_sandbox_needs_nothing(settings):
    settings.PAYMENT_PROVIDER = "sandbox"

    assert ids() == []


def test_a_provider_that_nobody_knows_stops_the_start(settings):
    settings.PAYMENT_PROVIDER = "strip"

    assert ids() == ["payments.E001"]


@pytest.mark.parametrize(
    ("key", "secrets", "expected"),
    [
        ("sk_test_1", ["whsec_1"], []),
        ("", ["whsec_1"], ["payments.E002"]),
        ("sk_test_1", [], ["payments.E002"]),
        ("", [], ["payments.E002", "payments.E002"]),
    ],
)
def test_stripe_needs_its_key_and_a_secret(settings, key, secrets, expected):
    settings.PAYMENT_PROVIDER = "stripe"
    settings.STRIPE_API_KEY, settings.STRIPE_WEBHOOK_SECRETS = key, secrets

    assert ids() == expected


def test_a_wrong_secret_stops_the_start(settings):
    settings.SANDBOX_WEBHOOK_SECRETS = ["whsec_not base64!"]

    assert ids() == ["payments.E003"]


def test_the_sandbox_at_a_public_address_is_warned_of(settings):
    settings.SECURE = True

    assert ids() == ["payments.W001"]
