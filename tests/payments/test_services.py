from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from django.db import transaction

from applications.models import Application
from outbox.models import Outbox
from payments import providers, services
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
    first = services.prepare_payment(application_id=application.pk)
    second = services.prepare_payment(application_id=application.pk)

    assert first == second == Payment.objects.get()
    assert (first.amount, first.currency, first.provider) == (5000, "USD", "sandbox")
    assert (first.state, first.idempotency_key) == ("processing", f"checkout:{first.pk}:1")


def test_prepare_payment_keeps_the_fee_of_the_application(application, settings):
    settings.APPLICATION_FEE_AMOUNT = 1

    assert services.prepare_payment(application_id=application.pk).amount == 5000


def test_record_checkout_lets_the_fee_be_paid(application):
    payment = PaymentFactory.create(application=application)

    services.record_checkout(payment, CHECKOUT)

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
    services.record_checkout(payment, CHECKOUT)
    application.refresh_from_db()
    before = application.version

    services.record_checkout(payment, CHECKOUT)

    application.refresh_from_db()
    assert application.version == before
    assert Outbox.objects.count() == 1


def test_record_checkout_of_an_older_number_changes_nothing(payment):
    older = Payment.objects.get()
    Payment.objects.update(checkout_number=2)

    services.record_checkout(older, CHECKOUT)

    payment.refresh_from_db()
    assert payment.session_id == "cs_1"


def test_a_process_that_dies_after_the_provider_has_answered_makes_no_second_checkout(
    application, provider: Sandbox
):
    payment = services.prepare_payment(application_id=application.pk)
    lost = services.request_checkout(payment)

    again = services.request_checkout(services.prepare_payment(application_id=application.pk))

    assert again == lost
    session = provider.get(f"/v1/checkout-sessions/{again.session_id}")
    assert (session["reference"], session["amount"]) == (str(payment.pk), 5000)


def test_open_checkout_reuses_the_open_one(payment, settings):
    settings.SANDBOX_URL = "http://127.0.0.1:1"  # nobody is asked

    first = services.open_checkout(application_id=payment.application_id)
    second = services.open_checkout(application_id=payment.application_id)

    assert first == second == "http://provider.example/checkout/cs_1"
    application = Application.objects.get()
    assert (application.status, application.version) == ("payment_initiated", 2)
    assert application.events.filter(event="checkout_opened").count() == 1


def test_open_checkout_after_a_declined_payment_uses_the_same_checkout(payment):
    Payment.objects.update(state="failed")

    url = services.open_checkout(application_id=payment.application_id)

    assert url == "http://provider.example/checkout/cs_1"


def test_open_checkout_renews_an_expired_one(payment, provider: Sandbox):
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")

    url = services.open_checkout(application_id=payment.application_id)

    payment.refresh_from_db()
    assert url == payment.checkout_url == f"{provider.url}/checkout/{payment.session_id}"
    assert (payment.checkout_number, payment.state) == (2, "awaiting")
    assert payment.checkout_expires_at > datetime.now(UTC)
    assert services.open_checkout(application_id=payment.application_id) == url


def test_open_checkout_after_a_crash_while_renewing_finds_the_new_one(payment, provider: Sandbox):
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")
    lost: list[providers.Checkout] = []

    def die(payment: Payment, checkout: providers.Checkout) -> None:
        lost.append(checkout)
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "record_checkout", die)
        with pytest.raises(SystemExit):
            services.open_checkout(application_id=payment.application_id)

    assert services.open_checkout(application_id=payment.application_id) == lost[0].url
    payment.refresh_from_db()
    assert payment.checkout_number == 2


@pytest.mark.parametrize("state", ["processing", "paid"])
def test_open_checkout_of_another_payment_has_nothing_to_pay(payment, state):
    paid_at = datetime.now(UTC) if state == "paid" else None
    Payment.objects.update(state=state, paid_at=paid_at)

    with pytest.raises(services.NothingToPay):
        services.open_checkout(application_id=payment.application_id)
    assert Application.objects.get().version == 1


def test_open_checkout_without_a_payment_has_nothing_to_pay(application):
    for application_id in (application.pk, uuid.uuid4()):
        with pytest.raises(services.NothingToPay):
            services.open_checkout(application_id=application_id)


def test_open_checkout_fails_while_the_provider_is_away_and_can_be_tried_again(
    payment, provider: Sandbox, settings
):
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")
    settings.SANDBOX_URL = "http://127.0.0.1:1"
    for _ in range(2):
        with transaction.atomic(), pytest.raises(providers.ProviderError):
            services.open_checkout(application_id=payment.application_id)
    settings.SANDBOX_URL = provider.url

    services.open_checkout(application_id=payment.application_id)

    payment.refresh_from_db()
    assert payment.checkout_number == 2
    assert Application.objects.get().events.count() == 1
