"""Rows for tests: only what a test is about has to be said."""

from __future__ import annotations

import factory
from django.db.models.functions import Now
from factory.django import DjangoModelFactory

from accounts.models import User
from applications.models import (
    Application,
    ApplicationFile,
    DocumentAccess,
    DocumentReview,
    DocumentsState,
    PaymentState,
    Status,
)
from notifications.models import Mail
from outbox.models import Attempt, DeadReason, Outbox, Outcome, State
from payments.models import Charge, Payment, ProviderEvent, Refund


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"student{n}@example.com")
    name = "Ada Lovelace"
    password = factory.django.Password("a long passphrase")


class StaffFactory(UserFactory):
    email = factory.Sequence(lambda n: f"staff{n}@example.com")
    is_staff = True
    is_superuser = True


class ApplicationFactory(DjangoModelFactory[Application]):
    class Meta:
        model = Application

    student = factory.SubFactory(UserFactory)
    personal_statement = "I want to study mathematics."
    fee_amount = 5000
    fee_currency = "USD"
    documents = DocumentsState.WAITING
    payment = PaymentState.NONE
    status = Status.SUBMITTED
    progress = 25


class ApplicationFileFactory(DjangoModelFactory[ApplicationFile]):
    class Meta:
        model = ApplicationFile

    application = factory.SubFactory(ApplicationFactory)
    position = factory.Sequence(lambda n: n)
    name = "transcript.pdf"
    content_type = "application/pdf"
    size = 1000
    sha256 = "0" * 64
    storage_name = factory.Sequence(lambda n: f"stored-{n}")

    class Params:
        needs_review = factory.Trait(
            state=DocumentsState.NEEDS_REVIEW,
            checks=[
                {"code": "page_count", "verdict": "passed", "detail": "Pages: 1."},
                {
                    "code": "legible",
                    "verdict": "needs_review",
                    "detail": "We could hardly read it.",
                },
            ],
        )


class DocumentReviewFactory(DjangoModelFactory[DocumentReview]):
    class Meta:
        model = DocumentReview

    file = factory.SubFactory(ApplicationFileFactory, state=DocumentsState.VERIFIED)
    decision = DocumentReview.Decision.ACCEPTED
    reason = "It can be read."
    reviewer = factory.SubFactory(StaffFactory)


class DocumentAccessFactory(DjangoModelFactory[DocumentAccess]):
    class Meta:
        model = DocumentAccess

    file = factory.SubFactory(ApplicationFileFactory)
    user = factory.SubFactory(StaffFactory)
    kind = DocumentAccess.Kind.VIEWED


class OutboxFactory(DjangoModelFactory[Outbox]):
    """A pending row; `handler` need not be registered until it is delivered."""

    class Meta:
        model = Outbox

    event_type = "application_submitted"
    handler = "create_payment"
    queue = "create_payment"
    payload = factory.LazyFunction(dict)
    max_attempts = 3


class DeadLetterFactory(OutboxFactory):
    state = State.DEAD
    dead_reason = DeadReason.EXHAUSTED
    attempt_count = 3


class AttemptFactory(DjangoModelFactory[Attempt]):
    """An attempt that failed just now."""

    class Meta:
        model = Attempt

    outbox = factory.SubFactory(OutboxFactory)
    queue = factory.SelfAttribute("outbox.queue")
    number = 1
    started_at = factory.LazyFunction(Now)
    worker = "host:1"
    outcome = Outcome.FAILED


class PaymentFactory(DjangoModelFactory[Payment]):
    class Meta:
        model = Payment

    application = factory.SubFactory(ApplicationFactory)
    provider = "sandbox"
    amount = 5000
    currency = "USD"

    class Params:
        paid = factory.Trait(state=PaymentState.PAID, paid_at=factory.LazyFunction(Now))


class ChargeFactory(DjangoModelFactory[Charge]):
    """The whole fee, captured."""

    class Meta:
        model = Charge

    payment = factory.SubFactory(PaymentFactory, paid=True)
    provider = "sandbox"
    provider_reference = factory.Sequence(lambda n: f"pay_{n}")
    amount = 5000


class RefundFactory(DjangoModelFactory[Refund]):
    """The whole charge, to be paid back; the charge does not count it yet."""

    class Meta:
        model = Refund

    charge = factory.SubFactory(ChargeFactory)
    amount = 5000
    reason = "The application was withdrawn."


class ProviderEventFactory(DjangoModelFactory[ProviderEvent]):
    class Meta:
        model = ProviderEvent

    provider = "sandbox"
    event_id = factory.Sequence(lambda n: f"evt_{n}")
    type = "paid"
    payload = factory.LazyFunction(dict)
    payment = factory.SubFactory(PaymentFactory)

    class Params:
        held = factory.Trait(outcome=ProviderEvent.Outcome.MISMATCH)


class MailFactory(DjangoModelFactory[Mail]):
    class Meta:
        model = Mail

    application = factory.SubFactory(ApplicationFactory)
    occasion = "received"
    recipient = "student@example.com"
    subject = "We received your application"
    message_id = factory.Sequence(lambda n: f"<{n}@example.com>")

    class Params:
        withheld = factory.Trait(state="not_sent", sent_at=None, error="550 No such mailbox")
