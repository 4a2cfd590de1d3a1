"""A fee that is paid through Stripe, from the checkout to the refund, through the outbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction
from django.db.models.functions import Now

from applications import services as applications
from applications.models import Application
from applications.progress import event_for
from outbox.models import Outbox, Outcome
from outbox.services import publish
from payments import checkout, reconciliation, refunds
from payments.models import Charge, Payment, ProviderEvent, Refund
from tests.factories import ApplicationFactory, ApplicationFileFactory
from tests.payments.stripe_fake import API_KEY, SECRET, StripeFake, running_stripe
from tests.working import work_off

PAST = "2020-01-01T00:00:00Z"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stripe(settings) -> Iterator[StripeFake]:
    settings.PAYMENT_PROVIDER = "stripe"
    settings.STRIPE_API_KEY, settings.STRIPE_WEBHOOK_SECRETS = API_KEY, [SECRET]
    with running_stripe() as fake:
        settings.STRIPE_URL = fake.url
        yield fake


@pytest.fixture
def application(db: None) -> Application:
    application: Application = ApplicationFactory.create()
    ApplicationFileFactory.create(application=application, state="needs_review")
    with transaction.atomic():
        publish(event_for(application, "application_submitted"))
    return application


def work() -> set[Outcome]:
    """Work off all but the mails, whatever time it is due."""
    Outbox.objects.filter(queue="send_email").delete()
    Outbox.objects.filter(state="pending").update(available_at=Now())
    return set(work_off())


def tell(stripe: StripeFake, live_server, *types: str) -> list[int]:
    """Deliver all webhooks of these types; return the statuses of the answers."""
    address = f"{live_server.url}/payments/webhooks/stripe"
    return [stripe.deliver(address, event) for event in stripe.events(*types)]


def test_a_fee_is_paid_and_paid_back(application, stripe: StripeFake, live_server):
    assert work() == {Outcome.SUCCEEDED}
    payment = Payment.objects.get()
    assert (payment.provider, payment.state) == ("stripe", "awaiting")

    stripe.people.pay(payment.session_id)
    assert tell(stripe, live_server, "checkout.session.completed") == [200]
    assert work() == {Outcome.SUCCEEDED}
    application.refresh_from_db()
    assert (application.payment, Charge.objects.get().amount) == ("paid", 5000)

    applications.withdraw(application_id=application.pk, request_id="")
    assert work() == {Outcome.SUCCEEDED}

    application.refresh_from_db()
    assert (application.status, application.payment) == ("withdrawn", "refunded")
    assert Refund.objects.get().state == "succeeded"
    assert set(tell(stripe, live_server)) == {200}  # all of it once more, refunds included
    assert work() == {Outcome.SUCCEEDED}
    assert (Charge.objects.count(), Refund.objects.count()) == (1, 1)
    assert not ProviderEvent.objects.filter(outcome="mismatch").exists()


def test_a_checkout_whose_answer_timed_out_is_found_again(application, stripe: StripeFake):
    stripe.faults.time_out_after_acting()

    assert work() == {Outcome.FAILED}
    assert work() == {Outcome.SUCCEEDED}

    assert len(stripe.store.sessions) == 1
    assert Payment.objects.get().session_id in stripe.store.sessions


def test_a_refund_by_hand_is_noticed(application, stripe: StripeFake, live_server):
    work()
    intent = stripe.people.pay(Payment.objects.get().session_id)
    tell(stripe, live_server, "checkout.session.completed")
    work()

    stripe.people.refund_by_hand(intent)
    tell(stripe, live_server)
    assert work() == {Outcome.SUCCEEDED}

    assert (Payment.objects.get().state, Refund.objects.get().state) == ("refunded", "succeeded")
    assert Refund.objects.get().reason == "Made by hand at the provider."


def test_a_declined_card_can_be_tried_again(application, stripe: StripeFake, live_server):
    work()
    payment = Payment.objects.get()
    stripe.people.decline(payment.session_id)
    tell(stripe, live_server)
    assert work() == {Outcome.SUCCEEDED}
    payment.refresh_from_db()
    assert payment.state == "failed"

    assert checkout.open_checkout(application_id=application.pk) == payment.checkout_url


def test_a_bank_that_bounces_ends_the_checkout_and_a_new_one_is_made(
    application, stripe: StripeFake, live_server
):
    work()
    payment = Payment.objects.get()
    stripe.people.pay_later(payment.session_id)
    stripe.people.bounce(payment.session_id)
    tell(stripe, live_server)
    work()
    assert Payment.objects.get().state == "failed"

    url = checkout.open_checkout(application_id=application.pk)

    assert url != payment.checkout_url
    assert Payment.objects.get().checkout_number == 2


def test_money_that_comes_after_the_withdrawal_is_paid_back(
    application, stripe: StripeFake, live_server
):
    work()
    session = Payment.objects.get().session_id
    stripe.people.pay_later(session)
    applications.withdraw(application_id=application.pk, request_id="")
    work()
    assert Payment.objects.get().state == "cancelled"

    stripe.people.settle(session)
    tell(stripe, live_server)
    assert work() == {Outcome.SUCCEEDED}

    assert (Payment.objects.get().state, Refund.objects.get().state) == ("refunded", "succeeded")


def check() -> set[Outcome]:
    """Let the time of every check come, and work it off."""
    Payment.objects.filter(check_at__isnull=False).update(check_at=PAST)
    Refund.objects.filter(check_at__isnull=False).update(check_at=PAST)
    reconciliation.publish_checks()
    return work()


def test_money_on_its_way_is_not_asked_for_again(application, stripe: StripeFake):
    """A day after a bank transfer was begun, the student comes back to pay."""
    work()
    session = Payment.objects.get().session_id
    stripe.people.pay_later(session)
    Payment.objects.update(checkout_expires_at=PAST)

    with pytest.raises(checkout.MoneyOnItsWay):
        checkout.open_checkout(application_id=application.pk)

    assert list(stripe.store.sessions) == [session]
    stripe.people.settle(session)  # and its webhook is lost
    assert check() == {Outcome.SUCCEEDED}
    assert (Payment.objects.get().state, Charge.objects.count()) == ("paid", 1)


def test_money_whose_webhook_is_lost_after_the_withdrawal_is_found_and_paid_back(
    application, stripe: StripeFake
):
    work()
    session = Payment.objects.get().session_id
    stripe.people.pay_later(session)
    applications.withdraw(application_id=application.pk, request_id="")
    work()
    stripe.people.settle(session)

    check()

    assert (Payment.objects.get().state, Refund.objects.get().state) == ("refunded", "succeeded")


@pytest.fixture
def refunded_later(application, stripe: StripeFake) -> Refund:
    """A refund that Stripe has on its way for so long that it has forgotten its key."""
    work()
    stripe.people.pay(Payment.objects.get().session_id)
    check()
    stripe.store.refund_status = "pending"
    with transaction.atomic():
        refunds.refund_payment(Payment.objects.get(), reason="The application was withdrawn.")
    work()
    stripe.server.keys._uses.clear()
    return Refund.objects.get()


@pytest.mark.parametrize("end", ["succeeded", "failed"])
def test_a_refund_whose_key_is_forgotten_is_asked_about_and_not_made_again(
    refunded_later, stripe: StripeFake, end
):
    stripe.people.end_refund(refunded_later.provider_reference, end)  # and its webhook is lost

    assert check() == {Outcome.SUCCEEDED}

    assert list(stripe.store.refunds) == [refunded_later.provider_reference]
    refunded_later.refresh_from_db()
    assert refunded_later.state == end


def test_a_refund_by_hand_that_is_told_before_the_payment_counts(
    application, stripe: StripeFake, live_server
):
    work()
    intent = stripe.people.pay(Payment.objects.get().session_id)
    stripe.people.refund_by_hand(intent)
    tell(stripe, live_server, "refund.created")
    work()
    assert ProviderEvent.objects.get().outcome == "mismatch"

    check()

    assert (Charge.objects.get().refunded_amount, Payment.objects.get().state) == (5000, "refunded")
    assert not ProviderEvent.objects.filter(outcome="mismatch").exists()


def test_a_refund_by_hand_before_ours_is_sent_leads_on(
    application, stripe: StripeFake, live_server
):
    """Staff pay back in the dashboard while our refund still waits in its queue."""
    work()
    intent = stripe.people.pay(Payment.objects.get().session_id)
    check()
    with transaction.atomic():
        refunds.refund_payment(Payment.objects.get(), reason="The application was withdrawn.")
    stripe.people.refund_by_hand(intent)
    tell(stripe, live_server, "refund.created")

    assert work() == {Outcome.SUCCEEDED}

    states = Refund.objects.order_by("pk").values_list("state", "reason")
    assert list(states) == [
        ("failed", "The application was withdrawn."),
        ("succeeded", "Made by hand at the provider."),
    ]
    assert Refund.objects.order_by("pk")[0].problem.startswith("Stripe answered 400")
    assert Payment.objects.get().state == "refunded"


def test_a_checkout_that_ended_early_is_renewed(application, stripe: StripeFake, live_server):
    work()
    payment = Payment.objects.get()
    stripe.people.expire(payment.session_id)
    tell(stripe, live_server, "checkout.session.expired")
    work()

    assert checkout.open_checkout(application_id=application.pk) != payment.checkout_url
