from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from threading import BoundedSemaphore

import pytest
from django.db import transaction

from applications.models import Application
from outbox.models import Outbox
from payments import checkout, providers
from payments.models import Payment
from tests.factories import ApplicationFactory, PaymentFactory
from tests.payments.sandbox_service import Sandbox

pytestmark = pytest.mark.django_db

CHECKOUT = providers.Checkout(
    session_id="cs_2",
    url="http://provider.example/checkout/cs_2",
    expires_at=datetime(2999, 1, 1, tzinfo=UTC),
)


@pytest.fixture
def application(db: None) -> Application:
    return ApplicationFactory.create(
        documents="verified", payment="processing", status="processing_payment", progress=55
    )


def test_prepare_payment_makes_one_payment(application):
    first = checkout.prepare_payment(application_id=application.pk)
    second = checkout.prepare_payment(application_id=application.pk)

    assert first == second == Payment.objects.get()
    assert (first.amount, first.currency, first.provider) == (5000, "USD", "sandbox")
    assert (first.state, first.idempotency_key) == ("processing", f"checkout:{first.pk}:1")


def test_prepare_payment_keeps_the_fee_of_the_application(application, settings):
    settings.APPLICATION_FEE_AMOUNT = 1

    assert checkout.prepare_payment(application_id=application.pk).amount == 5000


def test_record_checkout_lets_the_fee_be_paid(application):
    payment = PaymentFactory.create(application=application)

    checkout.record_checkout(payment, CHECKOUT)

    payment.refresh_from_db()
    assert (payment.state, payment.session_id) == ("awaiting", "cs_2")
    assert (payment.checkout_url, payment.checkout_expires_at) == (
        CHECKOUT.url,
        CHECKOUT.expires_at,
    )
    application.refresh_from_db()
    assert (application.payment, application.status) == ("awaiting", "awaiting_payment")
    (row,) = Outbox.objects.values_list("event_type", "handler", "aggregate_id")
    assert row == ("payment_requested", "send_pay_now_mail", application.pk)


def test_record_checkout_again_changes_nothing(application):
    payment = PaymentFactory.create(application=application)
    checkout.record_checkout(payment, CHECKOUT)
    application.refresh_from_db()
    before = application.version

    checkout.record_checkout(payment, CHECKOUT)

    application.refresh_from_db()
    assert application.version == before
    assert Outbox.objects.count() == 1


def test_record_checkout_of_an_older_number_changes_nothing(payment):
    older = Payment.objects.get()
    Payment.objects.update(checkout_number=2)

    checkout.record_checkout(older, CHECKOUT)

    payment.refresh_from_db()
    assert payment.session_id == "cs_1"


def test_a_process_that_dies_after_the_provider_has_answered_makes_no_second_checkout(
    application, provider: Sandbox
):
    payment = checkout.prepare_payment(application_id=application.pk)
    lost = checkout.request_checkout(payment)

    again = checkout.request_checkout(checkout.prepare_payment(application_id=application.pk))

    assert again == lost
    session = provider.get(f"/v1/checkout-sessions/{again.session_id}")
    assert (session["reference"], session["amount"]) == (str(payment.pk), 5000)


def test_open_checkout_reuses_the_open_one(payment, settings):
    settings.SANDBOX_URL = "http://127.0.0.1:1"  # nobody is asked

    first = checkout.open_checkout(application_id=payment.application_id)
    second = checkout.open_checkout(application_id=payment.application_id)

    assert first == second == "http://provider.example/checkout/cs_1"
    application = Application.objects.get()
    assert (application.status, application.version) == ("payment_initiated", 2)
    assert application.events.filter(event="checkout_opened").count() == 1


def test_open_checkout_after_a_declined_payment_uses_the_same_checkout(payment):
    Payment.objects.update(state="failed")

    url = checkout.open_checkout(application_id=payment.application_id)

    assert url == "http://provider.example/checkout/cs_1"


def test_open_checkout_renews_an_expired_one(payment, provider: Sandbox):
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")

    url = checkout.open_checkout(application_id=payment.application_id)

    payment.refresh_from_db()
    assert url == payment.checkout_url == f"{provider.url}/checkout/{payment.session_id}"
    assert (payment.checkout_number, payment.state) == (2, "awaiting")
    assert payment.checkout_expires_at > datetime.now(UTC)
    assert checkout.open_checkout(application_id=payment.application_id) == url


def test_open_checkout_after_a_crash_while_renewing_finds_the_new_one(payment, provider: Sandbox):
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")
    lost: list[providers.Checkout] = []

    def die(payment: Payment, made: providers.Checkout) -> None:
        lost.append(made)
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkout, "record_checkout", die)
        with pytest.raises(SystemExit):
            checkout.open_checkout(application_id=payment.application_id)

    assert checkout.open_checkout(application_id=payment.application_id) == lost[0].url
    payment.refresh_from_db()
    assert payment.checkout_number == 2


@pytest.mark.parametrize("state", ["processing", "paid"])
def test_open_checkout_of_another_payment_has_nothing_to_pay(payment, state):
    paid_at = datetime.now(UTC) if state == "paid" else None
    Payment.objects.update(state=state, paid_at=paid_at)

    with pytest.raises(checkout.NothingToPay):
        checkout.open_checkout(application_id=payment.application_id)
    assert Application.objects.get().version == 1


def test_open_checkout_without_a_payment_has_nothing_to_pay(application):
    for application_id in (application.pk, uuid.uuid4()):
        with pytest.raises(checkout.NothingToPay):
            checkout.open_checkout(application_id=application_id)


def test_open_checkout_fails_while_the_provider_is_away_and_can_be_tried_again(
    payment, provider: Sandbox, settings
):
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")
    settings.SANDBOX_URL = "http://127.0.0.1:1"
    for _ in range(2):
        with transaction.atomic(), pytest.raises(providers.ProviderError):
            checkout.open_checkout(application_id=payment.application_id)
    settings.SANDBOX_URL = provider.url

    checkout.open_checkout(application_id=payment.application_id)

    payment.refresh_from_db()
    assert payment.checkout_number == 2
    assert Application.objects.get().events.count() == 1


def test_open_checkout_after_a_decline_that_ended_the_checkout_renews_it(
    payment, provider: Sandbox
):
    Payment.objects.update(session_id="")
    made = checkout.request_checkout(payment)
    checkout.record_checkout(payment, made)
    Payment.objects.update(state="failed")
    provider.expire(made.session_id)

    url = checkout.open_checkout(application_id=payment.application_id)

    payment.refresh_from_db()
    assert (payment.checkout_number, payment.checkout_url) == (2, url)
    assert url != made.url


def test_a_payment_without_a_checkout_follows_the_setting(application, settings):
    """It was prepared, and the setting has been changed since."""
    payment = PaymentFactory.create(application=application, provider="stripe")

    assert checkout.prepare_payment(application_id=application.pk) == payment
    payment.refresh_from_db()
    assert payment.provider == "sandbox"


def test_a_payment_with_a_checkout_stays_with_its_provider(payment, settings):
    settings.PAYMENT_PROVIDER = "stripe"

    assert checkout.prepare_payment(application_id=payment.application_id).provider == "sandbox"


def test_no_payment_is_made_with_a_provider_that_nobody_knows(application, settings):
    settings.PAYMENT_PROVIDER = "strip"

    with pytest.raises(providers.UnknownProvider):
        checkout.prepare_payment(application_id=application.pk)
    assert Payment.objects.count() == 0


def test_a_checkout_is_asked_for_anew_when_the_site_has_moved(
    application, provider: Sandbox, settings
):
    """The first answer was lost, so nobody was told of that checkout."""
    payment = checkout.prepare_payment(application_id=application.pk)
    lost = checkout.request_checkout(payment)
    settings.BASE_URL = "https://apply.example.edu"

    made = checkout.request_checkout(payment)
    checkout.record_checkout(payment, made)

    payment.refresh_from_db()
    assert (payment.checkout_number, payment.session_id) == (2, made.session_id)
    assert made.session_id != lost.session_id


def test_no_more_threads_than_a_few_wait_for_a_provider(payment, provider: Sandbox, monkeypatch):
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")
    monkeypatch.setattr(checkout, "ASKING_SECONDS", 0)
    monkeypatch.setattr(checkout, "_asking", BoundedSemaphore(1))

    with checkout._asking, pytest.raises(providers.ProviderUnavailable):
        checkout.open_checkout(application_id=payment.application_id)

    assert checkout.open_checkout(application_id=payment.application_id).startswith(provider.url)


def test_a_long_address_of_a_checkout_is_kept(payment):
    made = replace(CHECKOUT, url=f"https://checkout.example/#{'f' * 1900}")

    checkout.record_checkout(payment, made)

    payment.refresh_from_db()
    assert payment.checkout_url == made.url
