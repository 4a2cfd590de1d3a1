"""What becomes of the fee when an application is withdrawn, at every moment of its life."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.db import connection, transaction

from applications import services as applications
from applications.models import Application
from outbox.models import Outbox, Outcome
from payments import checkout, withdrawal
from payments.models import Charge, Payment
from tests.factories import ApplicationFactory, ApplicationFileFactory
from tests.payments.sandbox_service import Sandbox
from tests.waiting import PATIENCE
from tests.working import work_off

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def application(db: None) -> Application:
    application: Application = ApplicationFactory.create(
        payment="processing", status="processing_payment", progress=55
    )
    ApplicationFileFactory.create(application=application, state="needs_review")
    return application


@pytest.fixture
def opened(application: Application, provider: Sandbox) -> Payment:
    """A fee that can be paid at the sandbox."""
    payment = checkout.prepare_payment(application_id=application.pk)
    made = checkout.request_checkout(payment)
    with transaction.atomic():
        checkout.record_checkout(payment, made)
    payment.refresh_from_db()
    return payment


def withdraw(application: Application) -> None:
    applications.withdraw(application_id=application.pk, request_id="")


def session_status(provider: Sandbox, session_id: str) -> str:
    return str(provider.get(f"/v1/checkout-sessions/{session_id}")["status"])


def test_before_the_payment_is_made_nothing_is_made(application, provider: Sandbox):
    withdraw(application)

    assert set(work_off()) == {Outcome.SUCCEEDED}
    assert Payment.objects.count() == 0


def test_an_open_checkout_is_ended(application, opened, provider: Sandbox):
    withdraw(application)
    work_off()

    opened.refresh_from_db()
    assert opened.state == "cancelled"
    assert session_status(provider, opened.session_id) == "expired"
    with pytest.raises(checkout.NothingToPay):
        checkout.open_checkout(application_id=application.pk)


def test_a_paid_fee_is_paid_back(application, opened, provider: Sandbox):
    httpx.post(f"{opened.checkout_url}/pay", trust_env=False)
    checkout.end_checkout(opened, opened.session_id)
    withdraw(application)

    work_off()

    opened.refresh_from_db()
    application.refresh_from_db()
    assert (opened.state, application.payment, application.status) == (
        "refunded",
        "refunded",
        "withdrawn",
    )
    (payment,) = provider.payments(str(opened.pk))
    assert payment["refundedAmount"] == 5000


def test_a_fee_that_was_paid_and_not_yet_told_is_paid_back(application, opened, provider: Sandbox):
    httpx.post(f"{opened.checkout_url}/pay", trust_env=False)
    withdraw(application)

    work_off()

    assert Payment.objects.get().state == "refunded"
    assert [event.event for event in application.events.all()] == [
        "payment_requested",
        "withdrawn",
        "payment_received",
        "payment_refunded",
    ]


def test_a_checkout_made_while_the_application_is_withdrawn_is_ended(
    application, provider: Sandbox
):
    """The provider was asked before, and its answer comes after the withdrawal."""
    payment = checkout.prepare_payment(application_id=application.pk)
    made = checkout.request_checkout(payment)
    withdraw(application)
    work_off()
    with transaction.atomic():
        checkout.record_checkout(payment, made)

    assert work_off() == [Outcome.SUCCEEDED]

    payment.refresh_from_db()
    assert (payment.state, payment.session_id) == ("cancelled", "")
    assert session_status(provider, made.session_id) == "expired"


def test_a_checkout_recorded_while_the_payment_is_closed_is_ended(application, provider: Sandbox):
    """It is recorded after the closing has looked, and before it writes."""
    payment = checkout.prepare_payment(application_id=application.pk)
    made = checkout.request_checkout(payment)
    looked = withdrawal.end_open_checkout(application_id=application.pk)
    with transaction.atomic():
        checkout.record_checkout(payment, made)
    withdraw(application)
    Outbox.objects.filter(handler="close_payment").delete()
    with transaction.atomic():
        assert looked is not None
        withdrawal.close_payment(looked)

    work_off()

    payment.refresh_from_db()
    assert payment.state == "cancelled"
    assert session_status(provider, made.session_id) == "expired"


def test_a_renewal_while_the_application_is_withdrawn_leaves_nothing_to_pay(
    application, opened, provider: Sandbox, monkeypatch
):
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")
    asked, withdrawn = threading.Event(), threading.Event()
    request_checkout = checkout.request_checkout

    def slow(payment: Payment):
        made = request_checkout(payment)
        asked.set()
        assert withdrawn.wait(PATIENCE)
        return made

    def open_in_tab() -> str:
        try:
            checkout.open_checkout(application_id=application.pk)
        except checkout.NothingToPay:
            return "nothing to pay"
        finally:
            connection.close()
        return "opened"

    monkeypatch.setattr(checkout, "request_checkout", slow)
    with ThreadPoolExecutor(1) as pool:
        tab = pool.submit(open_in_tab)
        assert asked.wait(PATIENCE)
        withdraw(application)
        work_off()
        withdrawn.set()
        answer = tab.result()
    work_off()

    assert answer == "nothing to pay"
    assert Charge.objects.count() == 0
    payment = Payment.objects.get()
    assert (payment.state, payment.checkout_url) == ("cancelled", "")


def test_closing_again_changes_nothing(application, opened, provider: Sandbox):
    httpx.post(f"{opened.checkout_url}/pay", trust_env=False)
    withdraw(application)
    work_off()
    Outbox.objects.filter(handler="close_payment").update(
        state="pending", available_at="2020-01-01T00:00:00Z"
    )

    work_off()

    (payment,) = provider.payments(str(opened.pk))
    assert payment["refundedAmount"] == 5000
    assert Payment.objects.get().state == "refunded"
