from __future__ import annotations

from itertools import permutations
from typing import Any

import httpx
import pytest
from django.db import IntegrityError, transaction

from applications.models import Application
from outbox.models import Outbox
from payments import checkout, events, refunds
from payments.models import Charge, Payment, ProviderEvent, Refund
from payments.providers import ProviderEvent as Event
from payments.providers import ProviderRejected, RefundReport
from tests.factories import ApplicationFactory, ApplicationFileFactory
from tests.payments.sandbox_service import Sandbox
from tests.working import work_off

pytestmark = pytest.mark.django_db

SUCCEEDED = RefundReport(refund_reference="re_1", status="succeeded")
PENDING = RefundReport(refund_reference="re_1", status="pending")
FAILED = RefundReport(refund_reference="re_1", status="failed")


@pytest.fixture
def charge(payment: Payment) -> Charge:
    """The fee, paid for an application that is not complete yet."""
    ApplicationFileFactory.create(application=payment.application, state="needs_review")
    take_in(event_of(payment, "paid", payment_reference="pay_1"))
    return Charge.objects.get()


@pytest.fixture
def refund(charge: Charge) -> Refund:
    return refunds.request_refund(charge, reason="The application was withdrawn.")


def event_of(payment: Payment, kind: Any, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "event_id": f"evt_{kind}",
        "type": kind,
        "session_id": "cs_1",
        "payment_reference": "pay_1",
        "reference": str(payment.pk),
        "amount": 5000,
        "currency": "USD",
        "refund_reference": "" if kind == "paid" else "re_1",
    }
    return Event(**fields | changes)


def take_in(event: Event) -> str:
    """Receive the event and let it take effect; return what came of it."""
    events.receive_event(provider="sandbox", event=event)
    stored = ProviderEvent.objects.get(event_id=event.event_id)
    events.apply_event(provider_event_id=stored.pk)
    stored.refresh_from_db()
    return stored.outcome


def state_of(refund: Refund) -> tuple[str, str, int, str]:
    """Return how it stands: refund, payment, counted amount, what the application says."""
    refund.refresh_from_db()
    charge = Charge.objects.get(pk=refund.charge_id)
    application = Application.objects.get(pk=charge.payment.application_id)
    return refund.state, charge.payment.state, charge.refunded_amount, application.payment


def test_a_requested_refund_is_counted_and_published(charge, refund):
    assert state_of(refund) == ("requested", "paid", 5000, "paid")
    assert (refund.amount, refund.idempotency_key) == (5000, f"refund:{refund.pk}")
    row = Outbox.objects.get(event_type="refund_requested")
    assert (row.handler, row.payload) == ("send_refund", {"refundId": refund.pk})
    assert row.aggregate_id == charge.payment.application_id


def test_no_more_is_refunded_than_was_captured(charge, refund):
    with pytest.raises(refunds.NothingToRefund):
        refunds.request_refund(charge, reason="again")

    assert Refund.objects.get() == refund


def test_the_database_refuses_more_than_was_captured(charge):
    with pytest.raises(IntegrityError), transaction.atomic():
        Charge.objects.update(refunded_amount=5001)


def test_a_refund_that_succeeds_is_told(refund):
    refunds.record_refund(refund, SUCCEEDED)

    assert state_of(refund) == ("succeeded", "refunded", 5000, "refunded")
    assert refund.settled_at is not None
    application = Application.objects.get()
    assert application.status == "withdrawn"
    assert application.events.filter(event="payment_refunded").count() == 1
    row = Outbox.objects.get(event_type="payment_refunded")
    assert row.payload == {"refundId": refund.pk, "amount": 5000, "currency": "USD"}


@pytest.mark.parametrize("second", [SUCCEEDED, PENDING])
def test_a_refund_that_has_ended_stays_as_it_ended(refund, second):
    refunds.record_refund(refund, SUCCEEDED)

    refunds.record_refund(refund, second)

    assert state_of(refund) == ("succeeded", "refunded", 5000, "refunded")
    assert Outbox.objects.filter(event_type="payment_refunded").count() == 1


def test_a_pending_refund_is_settled_by_an_event(charge, refund):
    refunds.record_refund(refund, PENDING)
    assert state_of(refund) == ("pending", "paid", 5000, "paid")

    assert take_in(event_of(charge.payment, "refunded")) == "applied"

    assert state_of(refund) == ("succeeded", "refunded", 5000, "refunded")


def test_an_event_that_is_faster_than_our_commit_settles_our_refund(charge, refund):
    """The provider's answer was lost with the process that got it."""
    assert take_in(event_of(charge.payment, "refunded")) == "applied"

    assert state_of(refund) == ("succeeded", "refunded", 5000, "refunded")
    assert Refund.objects.get().provider_reference == "re_1"

    refunds.record_refund(refund, SUCCEEDED)  # the attempt after that
    assert Outbox.objects.filter(event_type="payment_refunded").count() == 1


def test_a_failed_refund_can_be_asked_for_again(charge, refund, caplog):
    refunds.record_refund(refund, PENDING)

    assert take_in(event_of(charge.payment, "refund_failed")) == "applied"

    assert state_of(refund) == ("failed", "paid", 0, "paid")
    assert "refund failed" in caplog.text
    again = refunds.request_refund(charge, reason="again")
    assert again.idempotency_key != refund.idempotency_key
    refunds.record_refund(again, RefundReport(refund_reference="re_2", status="succeeded"))
    assert state_of(again) == ("succeeded", "refunded", 5000, "refunded")


def test_a_refund_that_comes_back_after_it_was_paid_out_is_with_us_again(charge, refund):
    refunds.record_refund(refund, SUCCEEDED)

    assert take_in(event_of(charge.payment, "refund_failed")) == "applied"

    assert state_of(refund) == ("failed", "paid", 0, "paid")
    application = Application.objects.get()
    assert application.events.filter(event="refund_failed").count() == 1
    assert take_in(event_of(charge.payment, "refunded", event_id="late")) == "ignored"
    again = refunds.request_refund(charge, reason="again")
    refunds.record_refund(again, RefundReport(refund_reference="re_2", status="succeeded"))
    assert state_of(again) == ("succeeded", "refunded", 5000, "refunded")


def test_a_refund_by_hand_is_not_taken_for_the_one_that_is_still_to_be_sent(charge, refund):
    """Both are of the whole amount, so it does not fit any more."""
    assert take_in(event_of(charge.payment, "refunded", reference="")) == "mismatch"

    assert state_of(refund) == ("requested", "paid", 5000, "paid")


@pytest.mark.parametrize("reference", ["payment", ""])
def test_a_refund_made_by_hand_is_noted(charge, reference):
    """The provider may not say for which payment it was."""
    changes = {} if reference else {"reference": ""}

    assert take_in(event_of(charge.payment, "refunded", **changes)) == "applied"

    refund = Refund.objects.get()
    assert state_of(refund) == ("succeeded", "refunded", 5000, "refunded")
    assert refund.reason == "Made by hand at the provider."


def test_a_part_paid_back_by_hand_leaves_the_fee_paid(charge):
    assert take_in(event_of(charge.payment, "refunded", amount=2000)) == "applied"
    assert state_of(Refund.objects.get()) == ("succeeded", "paid", 2000, "paid")

    rest = refunds.request_refund(charge, reason="The application was withdrawn.")
    refunds.record_refund(rest, RefundReport(refund_reference="re_2", status="succeeded"))

    assert rest.amount == 3000
    assert state_of(rest) == ("succeeded", "refunded", 5000, "refunded")


@pytest.mark.parametrize(
    "change", [{"amount": 5001}, {"currency": "EUR"}, {"payment_reference": "pay_2"}]
)
def test_a_refund_that_does_not_fit_is_held(charge, change):
    assert take_in(event_of(charge.payment, "refunded", **change)) == "mismatch"

    assert Refund.objects.count() == 0
    charge.refresh_from_db()
    assert (charge.refunded_amount, charge.payment.state) == (0, "paid")


def test_an_event_of_another_amount_than_our_refund_is_held(charge, refund):
    refunds.record_refund(refund, PENDING)

    assert take_in(event_of(charge.payment, "refunded", amount=100)) == "mismatch"

    assert state_of(refund) == ("pending", "paid", 5000, "paid")


@pytest.mark.parametrize("order", list(permutations(["refunded", "failed", "by hand"])))
def test_a_refund_that_comes_back_and_one_by_hand_count_in_any_order(charge, refund, order):
    refunds.record_refund(refund, PENDING)
    told = {
        "refunded": event_of(charge.payment, "refunded", event_id="a"),
        "failed": event_of(charge.payment, "refund_failed", event_id="b"),
        "by hand": event_of(
            charge.payment, "refunded", event_id="c", refund_reference="re_2", reference=""
        ),
    }

    for name in order:
        take_in(told[name])

    assert state_of(refund) == ("failed", "refunded", 5000, "refunded")
    assert not ProviderEvent.objects.filter(outcome="mismatch").exists()


def test_a_refund_that_the_provider_refuses_is_left_to_staff(charge, refund, caplog):
    refunds.record_refusal(refund, "No such payment. " * 50)

    assert state_of(refund) == ("failed", "paid", 0, "paid")
    assert refund.problem == ("No such payment. " * 50)[:300]
    assert "refund failed" in caplog.text


def test_each_refund_of_a_charge_is_told(charge, refund):
    refunds.record_refund(refund, SUCCEEDED)
    refunds.record_refund(refund, FAILED)
    again = refunds.request_refund(charge, reason="again")
    refunds.record_refund(again, RefundReport(refund_reference="re_2", status="succeeded"))

    rows = Outbox.objects.filter(event_type="payment_refunded").order_by("pk")
    assert [row.payload["refundId"] for row in rows] == [refund.pk, again.pk]


def test_a_failure_of_a_refund_that_nobody_made_changes_nothing(charge):
    assert take_in(event_of(charge.payment, "refund_failed")) == "ignored"
    assert Refund.objects.count() == 0


def test_a_second_charge_is_paid_back_and_the_fee_stays_paid(charge, caplog):
    payment = charge.payment
    again = event_of(payment, "paid", event_id="evt_2", payment_reference="pay_2")
    assert take_in(again) == "applied"

    surplus = Charge.objects.get(provider_reference="pay_2")
    refund = Refund.objects.get()
    assert (surplus.is_surplus, refund.charge) == (True, surplus)
    assert "charged twice" in caplog.text
    refunds.record_refund(refund, SUCCEEDED)
    payment.refresh_from_db()
    assert (payment.state, Application.objects.get().payment) == ("paid", "paid")
    assert Outbox.objects.filter(event_type="payment_refunded").count() == 1


def test_the_same_charge_told_by_two_events_is_one(charge):
    assert take_in(event_of(charge.payment, "paid", event_id="evt_other")) == "ignored"
    assert (Charge.objects.count(), Refund.objects.count()) == (1, 0)


@pytest.fixture
def paid_at_provider(provider: Sandbox) -> Payment:
    """A fee that was really paid in the sandbox, and that we know of."""
    application = ApplicationFactory.create(payment="processing", status="processing_payment")
    ApplicationFileFactory.create(application=application, state="needs_review")
    payment = checkout.prepare_payment(application_id=application.pk)
    made = checkout.request_checkout(payment)
    with transaction.atomic():
        checkout.record_checkout(payment, made)
    httpx.post(f"{made.url}/pay", trust_env=False)
    checkout.end_checkout(payment, made.session_id)
    payment.refresh_from_db()
    return payment


def test_sending_a_refund_twice_pays_back_once(paid_at_provider, provider: Sandbox):
    """The process that sent it first died before it could record the answer."""
    refund = refunds.request_refund(paid_at_provider.charges.get(), reason="withdrawn")
    lost = refunds.send_refund(refund)

    again = refunds.send_refund(refund)

    assert again == lost
    (payment,) = provider.payments(str(paid_at_provider.pk))
    assert payment["refundedAmount"] == 5000


def test_the_provider_refuses_more_than_was_captured(paid_at_provider):
    charge = paid_at_provider.charges.get()
    refunds.send_refund(refunds.request_refund(charge, reason="withdrawn"))
    second = Refund.objects.create(charge=charge, amount=1, reason="too much")

    with pytest.raises(ProviderRejected):
        refunds.send_refund(second)


@pytest.mark.django_db(transaction=True)
def test_a_refund_goes_through_the_outbox(paid_at_provider, provider: Sandbox, mailoutbox):
    with transaction.atomic():
        refunds.refund_payment(paid_at_provider, reason="withdrawn")

    work_off()

    (payment,) = provider.payments(str(paid_at_provider.pk))
    assert payment["refundedAmount"] == 5000
    assert state_of(Refund.objects.get()) == ("succeeded", "refunded", 5000, "refunded")
    assert [mail.subject for mail in mailoutbox if "paid back" in mail.body] == [
        "Your application: we paid your money back"
    ]
