"""Webhooks, a check, a withdrawal and a tab at the same moment: the money moves once, and back once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.db import connection, transaction

from applications import services as applications
from applications.models import Application
from payments import checkout, events, reconciliation
from payments.models import Charge, Payment, ProviderEvent, Refund
from payments.providers import ProviderEvent as Event
from tests.factories import ApplicationFactory, ApplicationFileFactory
from tests.payments.sandbox_service import Sandbox
from tests.working import work_off

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paid(db: None, provider: Sandbox) -> Payment:
    """A fee that was paid just now, which nobody has told us."""
    application = ApplicationFactory.create(payment="processing", status="processing_payment")
    ApplicationFileFactory.create(application=application, state="needs_review")
    payment = checkout.prepare_payment(application_id=application.pk)
    made = checkout.request_checkout(payment)
    with transaction.atomic():
        checkout.record_checkout(payment, made)
    httpx.post(f"{made.url}/pay", trust_env=False)
    payment.refresh_from_db()
    return payment


def at_once(*jobs: Callable[[], object]) -> None:
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            barrier.wait()
            job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(run, jobs))


@pytest.mark.parametrize("attempt", range(5))
def test_everything_at_once_moves_money_once_and_back_once(paid, provider: Sandbox, attempt):
    (captured,) = provider.payments(str(paid.pk))

    def webhook(event_id: str) -> None:
        event = Event(
            event_id=event_id,
            type="paid",
            session_id=paid.session_id,
            payment_reference=captured["id"],
            reference=str(paid.pk),
            amount=5000,
            currency="USD",
        )
        events.receive_event(provider="sandbox", event=event)
        stored = ProviderEvent.objects.get(event_id=event_id)
        with transaction.atomic():
            events.apply_event(provider_event_id=stored.pk)

    def check() -> None:
        report = reconciliation.ask_provider(paid)
        assert report is not None
        with transaction.atomic():
            reconciliation.record_answer(paid, report)

    def tab() -> None:
        try:
            checkout.open_checkout(application_id=paid.application_id)
        except checkout.NothingToPay:
            pass

    at_once(
        lambda: webhook("evt_1"),
        lambda: webhook("evt_2"),
        check,
        lambda: applications.withdraw(application_id=paid.application_id, request_id=""),
        tab,
    )
    work_off()

    (captured,) = provider.payments(str(paid.pk))
    assert captured["refundedAmount"] == 5000
    assert (Charge.objects.count(), Refund.objects.count()) == (1, 1)
    assert Payment.objects.get().state == "refunded"
    application = Application.objects.get()
    assert (application.status, application.payment) == ("withdrawn", "refunded")
