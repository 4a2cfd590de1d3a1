"""A process that dies between an effect at the provider and our commit, at each such line."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from django.db import transaction
from django.db.models.functions import Now

from applications import services as applications
from applications.models import Application
from applications.progress import event_for
from outbox.models import Outbox, Outcome
from outbox.services import publish
from payments import checkout, reconciliation
from payments.models import Charge, Payment, Refund
from tests.dying import deliver_and_die, let_lease_run_out
from tests.factories import ApplicationFactory, ApplicationFileFactory
from tests.payments.sandbox_service import API_KEY, SECRET, Sandbox
from tests.working import deliver_one, work_off

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def application(db: None) -> Application:
    application: Application = ApplicationFactory.create()
    ApplicationFileFactory.create(application=application, state="needs_review")
    return application


@pytest.fixture
def opened(application: Application, provider: Sandbox) -> Payment:
    payment = checkout.prepare_payment(application_id=application.pk)
    made = checkout.request_checkout(payment)
    with transaction.atomic():
        checkout.record_checkout(payment, made)
    payment.refresh_from_db()
    Outbox.objects.all().delete()
    return payment


def die(handler: str, provider: Sandbox, state_dir: Path, *, at: str, when: str) -> Outbox:
    """Deliver the handler's row in a process that dies; return the row, which is to be had again."""
    row = Outbox.objects.get(handler=handler)
    environment = {
        "SANDBOX_URL": provider.url,
        "SANDBOX_API_KEY": API_KEY,
        "SANDBOX_WEBHOOK_SECRET": SECRET,
    }
    deliver_and_die(row, at=at, when=when, state_dir=state_dir, environment=environment)
    let_lease_run_out()
    return row


@pytest.mark.parametrize(
    ("at", "when"),
    [
        ("payments.checkout.request_checkout", "after"),
        ("payments.checkout.record_checkout", "after"),
    ],
)
def test_a_checkout_whose_answer_was_lost_is_found_again(
    application, provider: Sandbox, tmp_path, at, when
):
    with transaction.atomic():
        publish(event_for(application, "application_submitted"))
    Outbox.objects.filter(queue="send_email").delete()
    die("create_payment", provider, tmp_path, at=at, when=when)
    assert Payment.objects.get().session_id == ""

    assert set(work_off()) == {Outcome.SUCCEEDED}

    payment = Payment.objects.get()
    again = checkout.request_checkout(payment)
    assert (payment.state, payment.session_id) == ("awaiting", again.session_id)


@pytest.mark.parametrize(
    ("at", "when"),
    [
        ("payments.refunds.send_refund", "after"),
        ("payments.refunds.record_refund", "after"),
    ],
)
def test_a_refund_whose_answer_was_lost_pays_back_once(
    application, opened, provider: Sandbox, tmp_path, at, when
):
    httpx.post(f"{opened.checkout_url}/pay", trust_env=False)
    checkout.end_checkout(opened, opened.session_id)
    applications.withdraw(application_id=application.pk, request_id="")
    Outbox.objects.filter(queue="send_email").delete()
    close = Outbox.objects.get(handler="close_payment")
    Outbox.objects.filter(pk=close.pk).update(state="queued", queued_at=Now())
    deliver_one("create_payment", close.pk)
    die("send_refund", provider, tmp_path, at=at, when=when)
    assert Refund.objects.get().state == "requested"

    assert set(work_off()) == {Outcome.SUCCEEDED}

    (payment,) = provider.payments(str(opened.pk))
    assert payment["refundedAmount"] == 5000
    assert Refund.objects.get().state == "succeeded"
    assert Payment.objects.get().state == "refunded"


@pytest.mark.parametrize(
    ("at", "when"),
    [
        ("payments.events.record_report", "before"),
        ("payments.events.record_report", "after"),
        ("payments.withdrawal.end_open_checkout", "after"),
        ("payments.withdrawal.close_payment", "after"),
    ],
)
@pytest.mark.parametrize("is_paid", [False, True])
def test_a_withdrawal_that_dies_half_way_ends_right(
    application, opened, provider: Sandbox, tmp_path, at, when, is_paid
):
    if is_paid:
        httpx.post(f"{opened.checkout_url}/pay", trust_env=False)
    applications.withdraw(application_id=application.pk, request_id="")
    Outbox.objects.filter(queue="send_email").delete()
    die("close_payment", provider, tmp_path, at=at, when=when)

    assert set(work_off()) == {Outcome.SUCCEEDED}

    payments = provider.payments(str(opened.pk))
    assert [payment["refundedAmount"] for payment in payments] == ([5000] if is_paid else [])
    assert Charge.objects.count() == len(payments)
    assert Payment.objects.get().state == ("refunded" if is_paid else "cancelled")
    if not is_paid:
        assert provider.get(f"/v1/checkout-sessions/{opened.session_id}")["status"] == "expired"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_check_that_dies_is_made_again(opened, provider: Sandbox, tmp_path, when):
    httpx.post(f"{opened.checkout_url}/pay", trust_env=False)
    Payment.objects.update(check_at="2020-01-01T00:00:00Z")
    reconciliation.publish_checks()
    die(
        "check_payment",
        provider,
        tmp_path,
        at="payments.reconciliation.record_answer",
        when=when,
    )
    assert Payment.objects.get().state == "awaiting"

    assert set(work_off()) == {Outcome.SUCCEEDED}

    assert (Payment.objects.get().state, Charge.objects.count()) == ("paid", 1)
