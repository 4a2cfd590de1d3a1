"""What staff decide about documents that the checks left to a person."""

from __future__ import annotations

import pytest

from applications import services
from applications.exceptions import NothingToDecide
from applications.models import Application, ApplicationFile, DocumentReview
from outbox.models import Outbox
from tests.factories import ApplicationFactory, ApplicationFileFactory

pytestmark = pytest.mark.django_db

LEGIBLE = {"code": "legible", "verdict": "needs_review", "detail": "We could hardly read it."}


@pytest.fixture
def application(db: None) -> Application:
    return ApplicationFactory.create(
        documents="needs_review", payment="paid", status="verifying", progress=75
    )


@pytest.fixture
def file(application: Application) -> ApplicationFile:
    return ApplicationFileFactory.create(
        application=application, state="needs_review", checks=[LEGIBLE]
    )


def test_an_accepted_document_completes_the_application(application, file, staff):
    services.decide_document(file_id=file.pk, accept=True, reason="It can be read.", reviewer=staff)

    file.refresh_from_db()
    application.refresh_from_db()
    assert (file.state, application.status, application.progress) == ("verified", "completed", 100)
    assert [(check["code"], check["verdict"]) for check in file.checks] == [
        ("legible", "needs_review"),
        ("review", "passed"),
    ]
    review = DocumentReview.objects.get()
    assert (review.file, review.decision, review.reason, review.reviewer) == (
        file,
        "accepted",
        "It can be read.",
        staff,
    )


def test_a_rejected_document_is_told_with_the_reason(application, file, staff):
    services.decide_document(
        file_id=file.pk, accept=False, reason="The stamp is missing.", reviewer=staff
    )

    file.refresh_from_db()
    application.refresh_from_db()
    assert (file.state, application.status) == ("failed", "verification_failed")
    assert file.checks[-1] == {
        "code": "review",
        "verdict": "failed",
        "detail": "The stamp is missing.",
    }
    row = Outbox.objects.get()
    assert (row.event_type, row.payload) == ("document_rejected", {"fileId": str(file.pk)})


@pytest.mark.parametrize("state", ["waiting", "verifying", "verified", "failed"])
def test_nothing_is_decided_about_another_document(application, staff, state):
    file = ApplicationFileFactory.create(application=application, state=state)

    with pytest.raises(NothingToDecide):
        services.decide_document(file_id=file.pk, accept=True, reason="x", reviewer=staff)

    assert DocumentReview.objects.count() == 0


def test_a_second_decision_comes_too_late(file, staff):
    services.decide_document(file_id=file.pk, accept=True, reason="x", reviewer=staff)

    with pytest.raises(NothingToDecide):
        services.decide_document(file_id=file.pk, accept=False, reason="y", reviewer=staff)

    assert DocumentReview.objects.get().decision == "accepted"


def test_nothing_is_decided_about_a_version_that_was_replaced(file, staff):
    ApplicationFile.objects.update(replaced_at="2026-01-01T00:00:00Z")

    with pytest.raises(NothingToDecide):
        services.decide_document(file_id=file.pk, accept=True, reason="x", reviewer=staff)


def test_nothing_is_decided_about_a_withdrawn_application(application, file, staff):
    services.withdraw(application_id=application.pk, request_id="")

    with pytest.raises(NothingToDecide):
        services.decide_document(file_id=file.pk, accept=True, reason="x", reviewer=staff)
