from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from django.db.models.functions import Now

from applications.models import Application
from outbox.models import Outbox
from payments import checkout, events
from payments.models import Payment, ProviderEvent
from payments.providers import Checkout
from payments.providers import ProviderEvent as Event
from tests.factories import ApplicationFactory, PaymentFactory

pytestmark = pytest.mark.django_db

Make = Callable[..., Event]


@pytest.fixture
def event(payment: Payment) -> Make:
    def make(kind: Any = "paid", **changes: Any) -> Event:
        fields = {
            "event_id": f"evt_{kind}",
            "type": kind,
            "session_id": "cs_1",
            "payment_reference": "pay_1" if kind == "paid" else None,
            "reference": str(payment.pk),
            "amount": 5000,
            "currency": "USD",
        }
        return Event(**fields | changes)

    return make


def take_in(event: Event) -> ProviderEvent:
    """Receive the event and let it take effect."""
    events.receive_event(provider="sandbox", event=event)
    stored = ProviderEvent.objects.get(event_id=event.event_id)
    events.apply_event(provider_event_id=stored.pk)
    stored.refresh_from_db()
    return stored


def test_an_event_is_stored_with_its_work(payment, event):
    assert events.receive_event(provider="sandbox", event=event()) is True

    stored = ProviderEvent.objects.get()
    assert (stored.type, stored.outcome, stored.payment) == ("paid", "received", None)
    (row,) = Outbox.objects.values("event_type", "handler", "payload", "aggregate_id", "priority")
    assert row == {
        "event_type": "payment_event_received",
        "handler": "apply_payment_event",
        "payload": {"providerEventId": stored.pk},
        "aggregate_id": payment.application_id,
        "priority": 1,
    }
    payment.refresh_from_db()
    assert payment.state == "awaiting"


def test_a_repeated_event_is_stored_once(event):
    events.receive_event(provider="sandbox", event=event())

    assert events.receive_event(provider="sandbox", event=event()) is False
    assert (ProviderEvent.objects.count(), Outbox.objects.count()) == (1, 1)


def test_paid_completes_the_application(payment, event):
    stored = take_in(event("paid"))

    payment.refresh_from_db()
    assert (payment.state, payment.charges.get().provider_reference) == ("paid", "pay_1")
    assert payment.paid_at is not None
    application = Application.objects.get()
    assert (application.payment, application.status) == ("paid", "completed")
    assert (stored.outcome, stored.payment) == ("applied", payment)
    assert Outbox.objects.filter(event_type="application_completed").count() == 1


def test_an_event_that_is_applied_twice_has_one_effect(payment, event):
    stored = take_in(event("paid"))
    payment.refresh_from_db()
    paid_at, version = payment.paid_at, Application.objects.get().version

    events.apply_event(provider_event_id=stored.pk)

    payment.refresh_from_db()
    assert (payment.paid_at, Application.objects.get().version) == (paid_at, version)
    assert Outbox.objects.filter(event_type="application_completed").count() == 1


def test_declined_leaves_the_fee_payable(payment, event):
    assert take_in(event("declined")).outcome == "applied"

    payment.refresh_from_db()
    assert payment.state == "failed"
    application = Application.objects.get()
    assert (application.payment, application.status) == ("failed", "awaiting_payment")
    assert application.events.get().event == "payment_declined"


def test_expired_ends_the_present_checkout_and_nothing_else(payment, event):
    assert take_in(event("expired")).outcome == "applied"

    payment.refresh_from_db()
    assert (payment.state, Application.objects.get().version) == ("awaiting", 1)
    assert Payment.objects.filter(checkout_expires_at__lte=Now()).exists()


def test_expired_of_an_older_checkout_is_ignored(payment, event):
    assert take_in(event("expired", session_id="cs_0")).outcome == "ignored"

    assert Payment.objects.filter(checkout_expires_at__gt=Now()).exists()


@pytest.mark.parametrize("order", list(permutations(["paid", "declined", "expired"])))
def test_events_in_any_order_end_paid(payment, event, order):
    for kind in order:
        take_in(event(kind))

    payment.refresh_from_db()
    assert (payment.state, payment.charges.get().provider_reference) == ("paid", "pay_1")
    assert Application.objects.get().status == "completed"
    assert Outbox.objects.filter(event_type="application_completed").count() == 1


def test_declined_of_an_older_checkout_is_ignored(payment, event):
    assert take_in(event("declined", session_id="cs_0")).outcome == "ignored"

    payment.refresh_from_db()
    assert payment.state == "awaiting"


def test_paid_on_an_older_checkout_is_paid(payment, event):
    assert take_in(event("paid", session_id="cs_0")).outcome == "applied"

    payment.refresh_from_db()
    assert payment.state == "paid"


def test_paid_before_the_checkout_is_recorded_stays_paid(event):
    payment = PaymentFactory.create(
        application=ApplicationFactory.create(documents="verified", payment="processing")
    )
    take_in(replace(event("paid"), reference=str(payment.pk)))

    checkout.record_checkout(
        payment,
        Checkout(session_id="cs_1", url="http://p.example/", expires_at="2999-01-01T00:00:00Z"),
    )

    payment.refresh_from_db()
    assert (payment.state, payment.session_id) == ("paid", "cs_1")
    assert payment.application.status == "completed"
    assert not Outbox.objects.filter(event_type="payment_requested").exists()


@pytest.mark.parametrize("kind", ["paid", "declined"])
@pytest.mark.parametrize(
    "change",
    [
        {"amount": 4999},
        {"amount": 0},
        {"currency": "EUR"},
        {"currency": "usd"},
        {"reference": str(uuid.uuid4())},
        {"reference": "no id at all"},
    ],
)
def test_an_event_that_does_not_fit_is_held(payment, event, kind, change, caplog):
    stored = take_in(event(kind, **change))

    assert stored.outcome == "mismatch"
    payment.refresh_from_db()
    assert (payment.state, payment.paid_at) == ("awaiting", None)
    assert Application.objects.get().version == 1
    assert [record.levelname for record in caplog.records if "fit" in record.message] == ["ERROR"]


def test_an_event_does_not_pay_another_application(payment, event):
    other = PaymentFactory.create(application=ApplicationFactory.create(), state="awaiting")

    take_in(event("paid"))

    other.refresh_from_db()
    assert (other.state, other.application.payment) == ("awaiting", "none")
