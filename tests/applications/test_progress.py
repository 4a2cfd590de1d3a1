"""Facts that come in through the services, one after another and at the same time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from applications import services
from applications.models import (
    Application,
    ApplicationFile,
    EventType,
    PaymentState,
)
from applications.verification.report import Check, Report, Verdict
from outbox.models import Outbox
from tests.factories import ApplicationFactory, ApplicationFileFactory

Step = Callable[[], object]
VERDICTS = {
    "verified": Verdict.PASSED,
    "failed": Verdict.FAILED,
    "needs_review": Verdict.NEEDS_REVIEW,
}


def start(file: ApplicationFile) -> Step:
    return lambda: services.start_verification(file_id=file.pk)


def verify(file: ApplicationFile, state: str = "verified") -> Step:
    report = Report([Check("not_damaged", VERDICTS[state], "It is damaged.")])
    return lambda: services.record_verification(file_id=file.pk, report=report)


def pay(application: Application, state: PaymentState, event: EventType | None = None) -> Step:
    return lambda: services.record_payment(
        application_id=application.pk, payment=state, event=event
    )


def open_checkout(application: Application) -> Step:
    return lambda: services.record_checkout_opened(application_id=application.pk)


def run(*steps: Step) -> None:
    for step in steps:
        with transaction.atomic():
            step()


def shown(application: Application) -> tuple[str, int]:
    application.refresh_from_db()
    return application.status, application.progress


def completions(application: Application) -> int:
    rows = Outbox.objects.filter(event_type="application_completed", aggregate_id=application.pk)
    assert application.events.filter(event="completed").count() == rows.count()
    return rows.count()


@pytest.fixture
def application(db: None) -> Application:
    return ApplicationFactory.create()


@pytest.fixture
def files(application: Application) -> list[ApplicationFile]:
    return ApplicationFileFactory.create_batch(2, application=application)


def test_payment_first_then_documents(application, files):
    seen = []
    for step in (
        pay(application, PaymentState.PROCESSING),
        pay(application, PaymentState.AWAITING),
        open_checkout(application),
        pay(application, PaymentState.PAID),
        start(files[0]),
        verify(files[0]),
        start(files[1]),
        verify(files[1]),
    ):
        run(step)
        seen.append(shown(application))

    assert seen == [
        ("processing_payment", 55),
        ("awaiting_payment", 75),
        ("payment_initiated", 75),
        ("verifying", 75),
        ("verifying", 75),
        ("verifying", 75),
        ("verifying", 75),
        ("completed", 100),
    ]
    assert completions(application) == 1


def test_documents_first_then_payment(application, files):
    seen = []
    for step in (
        start(files[0]),
        start(files[1]),
        verify(files[1]),
        verify(files[0]),
        pay(application, PaymentState.PROCESSING),
        pay(application, PaymentState.AWAITING),
        pay(application, PaymentState.PAID),
    ):
        run(step)
        seen.append(shown(application))

    assert seen == [
        ("verifying", 30),
        ("verifying", 30),
        ("verifying", 30),
        ("verified", 50),
        ("processing_payment", 55),
        ("awaiting_payment", 75),
        ("completed", 100),
    ]
    assert completions(application) == 1


def test_a_rejected_document_wins_over_the_payment(application, files):
    run(pay(application, PaymentState.PROCESSING), pay(application, PaymentState.AWAITING))

    run(verify(files[0], "failed"))
    assert shown(application) == ("verification_failed", 75)

    run(pay(application, PaymentState.PAID), verify(files[1]))
    assert shown(application) == ("verification_failed", 75)
    assert completions(application) == 0


def test_each_rejected_document_is_told_of_once(application, files):
    run(verify(files[0], "failed"), verify(files[1], "failed"), verify(files[0], "failed"))

    rows = Outbox.objects.filter(event_type="document_rejected", aggregate_id=application.pk)
    assert [row.payload for row in rows.order_by("pk")] == [
        {"fileId": str(file.pk)} for file in files
    ]
    assert application.events.filter(event="document_rejected").count() == 2


@pytest.mark.parametrize("second", ["verified", "needs_review", "failed"])
def test_a_second_report_changes_nothing(application, files, second):
    run(verify(files[0], "failed"))
    application.refresh_from_db()
    version = application.version

    run(verify(files[0], second))

    application.refresh_from_db()
    files[0].refresh_from_db()
    assert (application.version, files[0].state) == (version, "failed")


def test_repeated_facts_change_nothing(application, files):
    run(pay(application, PaymentState.PROCESSING, EventType.PAYMENT_STARTED))
    run(pay(application, PaymentState.AWAITING, EventType.PAYMENT_REQUESTED))
    run(open_checkout(application), start(files[0]))
    application.refresh_from_db()
    version, events = application.version, application.events.count()

    run(
        pay(application, PaymentState.PROCESSING, EventType.PAYMENT_STARTED),
        pay(application, PaymentState.AWAITING, EventType.PAYMENT_REQUESTED),
        open_checkout(application),
        start(files[0]),
    )

    application.refresh_from_db()
    assert (application.version, application.events.count()) == (version, events)
    assert Outbox.objects.filter(event_type="payment_requested").count() == 1


@pytest.mark.parametrize("late", ["processing", "awaiting", "failed"])
def test_a_late_payment_fact_does_not_take_back_that_it_is_paid(application, late):
    run(pay(application, PaymentState.PAID))

    run(pay(application, PaymentState(late)))

    assert shown(application) == ("completed", 100)
    assert application.payment == "paid"


def test_a_declined_payment_can_be_paid_after_all(application):
    run(pay(application, PaymentState.AWAITING), pay(application, PaymentState.FAILED))
    assert (application.payment, shown(application)) == ("none", ("awaiting_payment", 75))

    run(pay(application, PaymentState.PAID))
    assert shown(application) == ("completed", 100)


def test_a_refund_ends_an_unfinished_application(application, files):
    run(pay(application, PaymentState.PAID), pay(application, PaymentState.REFUNDED))

    assert shown(application) == ("withdrawn", 75)
    assert completions(application) == 0


def test_a_refund_leaves_a_completed_application_complete(application):
    run(pay(application, PaymentState.PAID), pay(application, PaymentState.REFUNDED))

    assert shown(application) == ("completed", 100)
    assert (application.payment, completions(application)) == ("refunded", 1)


@pytest.mark.parametrize("seed", range(20))
def test_progress_never_falls_whatever_comes_in(application, files, seed):
    rng = random.Random(seed)
    steps: list[Step] = [open_checkout(application)]
    steps += [pay(application, state) for state in PaymentState if state != PaymentState.REFUNDED]
    for file in files:
        steps += [start(file), verify(file), verify(file, "failed"), verify(file, "needs_review")]
    progress, version, was_completed = 25, 1, False
    for step in rng.choices(steps, k=20):
        run(step)
        application.refresh_from_db()
        assert application.progress >= progress
        assert application.version >= version
        assert not (was_completed and application.status != "completed")
        progress, version = application.progress, application.version
        was_completed = application.status == "completed"
    assert completions(application) == was_completed


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("payment", [PaymentState.AWAITING, PaymentState.PAID])
def test_documents_that_end_at_the_same_moment_are_both_seen(payment):
    application = ApplicationFactory.create(payment=payment, progress=75)
    files = ApplicationFileFactory.create_batch(4, application=application, state="verifying")
    barrier = threading.Barrier(len(files))

    def end(file: ApplicationFile) -> None:
        barrier.wait()
        try:
            run(verify(file))
        finally:
            connection.close()

    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(end, files))

    application.refresh_from_db()
    assert (application.documents, application.version) == ("verified", 5)
    expected = "completed" if payment == PaymentState.PAID else "awaiting_payment"
    assert application.status == expected
    assert completions(application) == (payment == PaymentState.PAID)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(5))
def test_the_last_document_and_the_payment_at_the_same_moment_complete_it_once(attempt):
    application = ApplicationFactory.create(payment=PaymentState.AWAITING, progress=75)
    file = ApplicationFileFactory.create(application=application, state="verifying")
    barrier = threading.Barrier(2)

    def end(step: Step) -> None:
        barrier.wait()
        try:
            run(step)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(end, [verify(file), pay(application, PaymentState.PAID)]))

    assert shown(application) == ("completed", 100)
    assert completions(application) == 1
