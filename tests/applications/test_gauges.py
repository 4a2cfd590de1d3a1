from __future__ import annotations

import pytest

from applications.gauges import lost_applications
from applications.models import Application
from outbox.conservation import Finding
from tests.factories import ApplicationFactory, OutboxFactory

pytestmark = pytest.mark.django_db


def application(*, documents: str, payment: str, status: str = "submitted") -> Application:
    return ApplicationFactory.create(documents=documents, payment=payment, status=status)


def row(application: Application, queue: str, state: str) -> None:
    leased = {"lease_token": application.pk, "lease_expires_at": application.created_at}
    OutboxFactory.create(
        aggregate_id=application.pk,
        queue=queue,
        state=state,
        dead_reason="exhausted" if state == "dead" else "",
        **(leased if state == "processing" else {}),
    )


@pytest.mark.parametrize(
    ("documents", "payment"),
    [
        ("waiting", "awaiting"),
        ("verifying", "paid"),
        ("verified", "none"),
        ("failed", "processing"),
    ],
)
def test_application_whose_next_step_is_ours_and_has_no_row_is_lost(documents: str, payment: str):
    lost = application(documents=documents, payment=payment)

    assert lost_applications() == Finding(1, [lost.pk])


@pytest.mark.parametrize("state", ["pending", "queued", "processing", "dead", "discarded"])
@pytest.mark.parametrize(
    ("documents", "payment", "queue"),
    [("verifying", "awaiting", "verify_document"), ("verified", "none", "create_payment")],
)
def test_application_with_a_row_that_is_worked_on_or_was_given_up_is_not_lost(
    documents: str, payment: str, queue: str, state: str
):
    row(application(documents=documents, payment=payment), queue, state)

    assert lost_applications() == Finding(0, [])


@pytest.mark.parametrize(
    ("queue", "state"),
    [("verify_document", "delivered"), ("create_payment", "pending"), ("send_email", "dead")],
)
def test_application_with_only_other_rows_is_lost(queue: str, state: str):
    lost = application(documents="verifying", payment="awaiting")
    row(lost, queue, state)

    assert lost_applications() == Finding(1, [lost.pk])


@pytest.mark.parametrize(
    ("documents", "payment", "status"),
    [
        ("failed", "awaiting", "verification_failed"),  # waits for the student
        ("needs_review", "paid", "verifying"),  # waits for staff
        ("verified", "awaiting", "awaiting_payment"),
        ("verified", "failed", "awaiting_payment"),
        ("verified", "paid", "completed"),
        ("waiting", "refunded", "withdrawn"),
    ],
)
def test_application_that_waits_for_a_person_or_is_done_is_not_lost(
    documents: str, payment: str, status: str
):
    application(documents=documents, payment=payment, status=status)

    assert lost_applications() == Finding(0, [])
