"""What no webhook has told us is found by asking."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from applications.models import Application
from outbox import dead_letters
from outbox.models import Outbox, Outcome
from payments import checkout, events, providers, reconciliation, refunds
from payments.models import Charge, Payment, ProviderEvent, Refund
from tests.factories import (
    ApplicationFactory,
    ChargeFactory,
    PaymentFactory,
    RefundFactory,
)
from tests.payments.sandbox_service import Sandbox
from tests.working import work_off

PAST = "2020-01-01T00:00:00Z"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opened(db: None, provider: Sandbox) -> Payment:
    application = ApplicationFactory.create(
        documents="verified", payment="processing", status="processing_payment", progress=55
    )
    payment = checkout.prepare_payment(application_id=application.pk)
    made = checkout.request_checkout(payment)
    with transaction.atomic():
        checkout.record_checkout(payment, made)
    payment.refresh_from_db()
    return payment


def check() -> list[Outcome]:
    """Let the time of every check come, and work it off."""
    due = Payment.objects.filter(check_at__isnull=False)
    due.update(check_at=F("check_at") - timedelta(days=1))
    reconciliation.publish_checks()
    Outbox.objects.filter(queue="send_email").delete()
    return work_off()


def test_a_payment_is_not_asked_about_at_once(opened):
    reconciliation.publish_checks()

    assert Outbox.objects.filter(event_type="payment_check_due").count() == 0
    assert opened.check_at is not None


def test_a_payment_without_its_webhook_is_found(opened, provider: Sandbox):
    httpx.post(f"{opened.checkout_url}/pay", trust_env=False)

    assert set(check()) == {Outcome.SUCCEEDED}

    opened.refresh_from_db()
    application = Application.objects.get()
    assert (opened.state, application.status) == ("paid", "completed")
    (paid,) = provider.payments(str(opened.pk))
    assert Charge.objects.get().provider_reference == paid["id"]
    event = ProviderEvent.objects.get()
    assert (event.event_id, event.outcome) == (f"asked:{paid['id']}", "applied")
    assert opened.check_at is None


def test_a_webhook_after_the_check_changes_nothing(opened, provider: Sandbox):
    httpx.post(f"{opened.checkout_url}/pay", trust_env=False)
    check()
    event = providers.ProviderEvent(
        event_id="evt_late",
        type="paid",
        session_id=opened.session_id,
        payment_reference=Charge.objects.get().provider_reference,
        reference=str(opened.pk),
        amount=5000,
        currency="USD",
    )

    events.receive_event(provider="sandbox", event=event)
    work_off()

    assert ProviderEvent.objects.get(event_id="evt_late").outcome == "ignored"
    assert Charge.objects.count() == 1


def test_an_open_checkout_is_asked_about_again(opened):
    assert check() == [Outcome.SUCCEEDED]

    opened.refresh_from_db()
    assert opened.state == "awaiting"
    assert Payment.objects.filter(check_at__gt=Now()).exists()
    assert check() == [Outcome.SUCCEEDED]


def test_an_expired_checkout_is_not_asked_about_again(opened, provider: Sandbox):
    provider.expire(opened.session_id)

    assert check() == [Outcome.SUCCEEDED]

    opened.refresh_from_db()
    assert (opened.state, opened.check_at) == ("awaiting", None)
    assert check() == []


def test_a_renewed_checkout_is_asked_about(opened, provider: Sandbox):
    provider.expire(opened.session_id)
    check()
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")

    checkout.open_checkout(application_id=opened.application_id)

    opened.refresh_from_db()
    assert opened.check_at is not None


def test_an_amount_that_does_not_fit_is_held(opened, provider: Sandbox, caplog):
    httpx.post(f"{opened.checkout_url}/pay", trust_env=False)
    Payment.objects.update(amount=4999)

    check()

    assert Payment.objects.get().state == "awaiting"
    assert ProviderEvent.objects.get().outcome == "mismatch"
    assert "event does not fit" in caplog.text


def test_a_provider_that_is_away_is_asked_later(opened, settings):
    settings.SANDBOX_URL = "http://127.0.0.1:1"

    assert check() == [Outcome.FAILED]

    row = Outbox.objects.get(event_type="payment_check_due")
    assert (row.state, row.attempt_count) == ("pending", 1)


def test_more_payments_and_refunds_than_a_batch_are_all_published(db, monkeypatch):
    monkeypatch.setattr(reconciliation, "BATCH", 2)
    payments = PaymentFactory.create_batch(5, state="awaiting", check_at=PAST)
    charge = ChargeFactory.create(payment=payments[0])
    for number in range(5):
        RefundFactory.create(
            charge=charge, state="pending", provider_reference=f"re_{number}", check_at=PAST
        )

    reconciliation.publish_checks()
    reconciliation.publish_checks()

    for event_type in ("payment_check_due", "refund_check_due"):
        rows = Outbox.objects.filter(event_type=event_type)
        assert (rows.count(), {row.priority for row in rows}) == (5, {3})


def test_there_is_one_check_of_a_payment_at_a_time(opened):
    Payment.objects.update(check_at=PAST)
    reconciliation.publish_checks()
    reconciliation.publish_checks()

    assert Outbox.objects.filter(event_type="payment_check_due").count() == 1
    opened.refresh_from_db()
    assert opened.check_at is None


def wait_of(payment: Payment) -> timedelta:
    """How long the next check is away, to the minute."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT check_at - now() FROM payments_payment WHERE id = %s", [payment.pk])
        (wait,) = cursor.fetchone()
    return timedelta(minutes=round(wait / timedelta(minutes=1)))


def test_the_waits_between_checks_grow(opened):
    Payment.objects.update(checkout_expires_at="2999-01-01T00:00:00Z")
    waits = [wait_of(opened)]
    for _ in range(7):
        check()
        waits.append(wait_of(opened))

    assert [wait / timedelta(minutes=1) for wait in waits] == [10, 10, 20, 40, 80, 160, 320, 360]


def test_a_checkout_is_asked_about_once_more_when_its_time_is_over(opened):
    Payment.objects.update(check_count=9, checkout_expires_at=Now() + timedelta(minutes=30))

    check()

    assert wait_of(opened) == timedelta(minutes=31)


def test_a_checkout_that_the_provider_does_not_know_is_not_asked_about_again(opened, caplog):
    Payment.objects.update(session_id="cs_gone")

    assert check() == [Outcome.SUCCEEDED]

    opened.refresh_from_db()
    assert opened.check_at is None
    assert "checkout unknown to provider" in caplog.text


def test_a_provider_that_is_slow_is_asked_at_the_next_time(opened, provider: Sandbox):
    provider.behave(timeOutAfterActing=1)

    assert check() == [Outcome.SUCCEEDED]

    assert Payment.objects.filter(check_at__gt=Now()).exists()


def test_a_check_that_dies_is_followed_by_the_next(opened, settings):
    settings.SANDBOX_URL = "http://127.0.0.1:1"
    check()
    for _ in range(2):
        Outbox.objects.update(available_at=Now())
        work_off()

    assert Outbox.objects.get(event_type="payment_check_due").state == "dead"
    assert Payment.objects.filter(check_at__gt=Now()).exists()


def test_a_payment_without_a_checkout_is_not_asked_about_for_ever(opened):
    """The process that renewed it died, and the student never came back."""
    Payment.objects.update(session_id="", checkout_url="", checkout_expires_at=None)

    assert check() == [Outcome.SUCCEEDED]

    opened.refresh_from_db()
    assert opened.check_at is None


def test_a_refund_on_its_way_is_asked_about(opened, provider: Sandbox):
    httpx.post(f"{opened.checkout_url}/pay", trust_env=False)
    checkout.end_checkout(opened, opened.session_id)
    provider.behave(refundOutcome="pending")
    with transaction.atomic():
        refunds.refund_payment(Payment.objects.get(), reason="x")
    check()
    assert Refund.objects.get().state == "pending"
    assert Refund.objects.filter(check_at__gt=Now()).exists()
    provider.behave(refundOutcome="succeeded")  # and the webhook of it is lost
    Refund.objects.update(check_at=PAST)

    assert set(check()) == {Outcome.SUCCEEDED}

    assert (Refund.objects.get().state, Payment.objects.get().state) == ("succeeded", "refunded")
    assert Refund.objects.get().check_at is None


def test_a_refund_that_was_discarded_by_staff_is_not_sent(opened, provider: Sandbox, staff):
    httpx.post(f"{opened.checkout_url}/pay", trust_env=False)
    checkout.end_checkout(opened, opened.session_id)
    with transaction.atomic():
        refunds.refund_payment(Payment.objects.get(), reason="asked for by mistake")
    row = Outbox.objects.get(handler="send_refund")
    Outbox.objects.filter(pk=row.pk).update(state="dead", dead_reason="exhausted")
    dead_letters.discard(row_id=row.pk, user_id=staff.pk, reason="not wanted")

    check()

    (payment,) = provider.payments(str(opened.pk))
    assert payment["refundedAmount"] == 0
