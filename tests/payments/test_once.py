"""Whatever happens in whatever order, the fee is paid once, and our rows say what is so.

The provider is real, and so are its signed webhooks: hypothesis decides which of them arrive, in
which order and how often, and what the student does in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from applications import services as applications
from applications.models import Application
from outbox.models import UNFINISHED_STATES, Outbox
from payments import checkout, reconciliation
from payments.models import Charge, Payment, PaymentState, Refund
from tests.factories import ApplicationFactory
from tests.payments.sandbox_service import Receiver, Sandbox, receiving
from tests.working import work_off

pytestmark = pytest.mark.django_db(transaction=True)

FEE = 5000
STEPS = st.one_of(
    st.sampled_from(["open", "pay", "decline", "expire", "withdraw", "work", "check"]),
    st.integers(0, 9),  # the webhook of this number arrives, perhaps again
)


class World:
    """One application, its student and its provider."""

    def __init__(self, provider: Sandbox, receiver: Receiver) -> None:
        self.provider = provider
        self.receiver = receiver
        self.first_webhook = len(receiver.requests)
        self.expected = 0
        self.application: Application = ApplicationFactory.create(
            documents="verified", payment="processing", status="processing_payment", progress=55
        )
        payment = checkout.prepare_payment(application_id=self.application.pk)
        checkout_made = checkout.request_checkout(payment)
        with transaction.atomic():
            checkout.record_checkout(payment, checkout_made)
        self.pages = [checkout_made.url]

    @property
    def payment(self) -> Payment:
        return Payment.objects.get(application=self.application)

    def do(self, step: str | int) -> None:
        if isinstance(step, int):
            self.let_webhook_arrive(step)
        else:
            getattr(self, step)()

    def open(self) -> None:
        try:
            url = checkout.open_checkout(application_id=self.application.pk)
        except checkout.NothingToPay:
            return
        if url not in self.pages:
            self.pages.append(url)
        self._count_webhooks()

    def pay(self) -> None:
        """The student pays in every tab that was ever opened."""
        for page in self.pages:
            httpx.post(f"{page}/pay", trust_env=False)
        self._count_webhooks()

    def decline(self) -> None:
        httpx.post(f"{self.pages[-1]}/decline", trust_env=False)
        self._count_webhooks()

    def expire(self) -> None:
        Payment.objects.filter(application=self.application).update(
            checkout_expires_at="2020-01-01T00:00:00Z"
        )

    def withdraw(self) -> None:
        application = Application.objects.get(pk=self.application.pk)
        if application.status != "completed":
            applications.withdraw(application_id=self.application.pk, request_id="")

    def work(self) -> None:
        work_off()
        self._count_webhooks()

    def check(self) -> None:
        Payment.objects.filter(check_at__isnull=False).update(check_at="2020-01-01T00:00:00Z")
        reconciliation.publish_checks()
        self.work()

    def let_webhook_arrive(self, number: int) -> None:
        webhooks = self.receiver.wait_for(self.first_webhook + self.expected)[self.first_webhook :]
        if not webhooks:
            return
        headers, body = webhooks[number % len(webhooks)]
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        response: Any = Client().post(
            "/payments/webhooks/sandbox",
            body,
            content_type="application/json",
            headers={name: headers[name] for name in names},
        )
        assert response.status_code == 200

    def _count_webhooks(self) -> None:
        """Every change at the provider sends one webhook."""
        sessions = [page.rpartition("/")[2] for page in self.pages]
        ended = sum(
            self.provider.get(f"/v1/checkout-sessions/{session}")["status"] == "expired"
            for session in sessions
        )
        payments = self.provider.payments(str(self.payment.pk))
        refunded = sum(payment["refundedAmount"] > 0 for payment in payments)
        self.expected = ended + len(payments) + refunded

    def captured(self) -> list[dict[str, Any]]:
        payments = self.provider.payments(str(self.payment.pk))
        return [payment for payment in payments if payment["status"] == "succeeded"]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@example(steps=["pay", "withdraw", "work"])
@example(steps=["withdraw", "pay", "work"])
@example(steps=["pay", "expire", "open", "pay"])
@example(steps=["decline", "pay", 1, "work", 0, "work"])
@example(steps=["open", "expire", "open", "decline", "pay", 2, 1, 0, "work", "withdraw"])
@given(steps=st.lists(STEPS, max_size=10))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_fee_is_paid_once_whatever_happens(
    provider: Sandbox, receiver: Receiver, settings, steps
):
    settings.BASE_URL = receiver.url
    world = World(provider, receiver)

    for step in steps:
        world.do(step)
    world.check()  # every webhook that has not arrived by now is lost

    payment, captured = world.payment, world.captured()
    application = Application.objects.get(pk=world.application.pk)
    kept = sum(each["amount"] - each["refundedAmount"] for each in captured)
    assert len(captured) <= 1
    assert kept == (FEE if payment.state == PaymentState.PAID else 0)
    charges = Charge.objects.filter(payment=payment)
    assert {charge.provider_reference for charge in charges} == {each["id"] for each in captured}
    assert (
        application.payment
        == {
            PaymentState.AWAITING: "awaiting",
            PaymentState.FAILED: "failed",
            PaymentState.PAID: "paid",
            PaymentState.REFUNDED: "refunded",
            PaymentState.CANCELLED: application.payment,
        }[PaymentState(payment.state)]
    )
    if application.withdrawn_at:
        assert payment.state in {PaymentState.CANCELLED, PaymentState.REFUNDED}
        assert Refund.objects.filter(charge__payment=payment).count() == len(captured)
    else:
        assert (application.status == "completed") == bool(captured)
    assert (
        not Outbox.objects.filter(aggregate_id=application.pk, state__in=UNFINISHED_STATES)
        .exclude(queue="send_email")
        .exists()
    )
