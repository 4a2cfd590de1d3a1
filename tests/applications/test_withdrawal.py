"""Withdrawing an application: the student's side of it."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from applications import services
from applications.models import Application, PaymentState
from outbox.models import Outbox, Outcome
from tests.applications.conftest import client_of
from tests.applications.documents import pdf
from tests.applications.submissions import assert_problem, submit, upload
from tests.factories import ApplicationFactory, StaffFactory, UserFactory
from tests.working import work_off

pytestmark = pytest.mark.django_db


@pytest.fixture
def application(student) -> Application:
    return ApplicationFactory.create(student=student, status="awaiting_payment", progress=75)


def withdraw(client: APIClient, application: Application):
    return client.post(f"/applications/{application.pk}/withdrawal")


def test_withdrawing_ends_the_application(bearer, application):
    response = withdraw(bearer, application)

    assert (response.status_code, response.json()) == (
        200,
        {
            "applicationId": str(application.pk),
            "status": "withdrawn",
            "progress": 75,
            "statusUrl": f"/applications/{application.pk}/status",
        },
    )
    status = bearer.get(f"/applications/{application.pk}/status").json()
    assert (status["status"], status["terminal"], status["nextAction"]) == ("withdrawn", True, None)
    assert status["withdrawUrl"] is None
    assert [entry["event"] for entry in status["timeline"]] == ["withdrawn"]
    rows = Outbox.objects.filter(event_type="application_withdrawn")
    assert sorted(rows.values_list("handler", flat=True)) == [
        "close_payment",
        "send_withdrawn_mail",
    ]


def test_withdrawing_again_changes_nothing(bearer, application):
    first = withdraw(bearer, application).json()
    application.refresh_from_db()
    version = application.version

    assert withdraw(bearer, application).json() == first
    application.refresh_from_db()
    assert (application.version, application.events.count()) == (version, 1)


def test_a_completed_application_is_not_withdrawn(bearer, application):
    Application.objects.update(status="completed")

    assert_problem(withdraw(bearer, application), 409, "already_completed")
    assert Outbox.objects.count() == 0


def test_only_the_owner_withdraws(application):
    for user in (UserFactory.create(), StaffFactory.create()):
        assert_problem(withdraw(client_of(user), application), 404, "not_found")
    assert_problem(withdraw(APIClient(), application), 401, "not_authenticated")
    application.refresh_from_db()
    assert application.status == "awaiting_payment"


def test_a_look_withdraws_nothing(bearer, application):
    assert bearer.get(f"/applications/{application.pk}/withdrawal").status_code == 405
    application.refresh_from_db()
    assert application.status == "awaiting_payment"


@pytest.mark.django_db(transaction=True)
def test_queued_work_stops_by_itself(bearer, settings, mailoutbox):
    settings.SANDBOX_URL = "http://127.0.0.1:1"  # nobody is asked
    submit(bearer, upload(pdf()))
    application = Application.objects.get()
    withdraw(bearer, application)

    outcomes = work_off()

    assert set(outcomes) == {Outcome.SUCCEEDED}
    assert set(Outbox.objects.values_list("state", flat=True)) == {"delivered"}
    assert application.files.get().checks == []
    assert not hasattr(application, "fee_payment")
    application.refresh_from_db()
    assert (application.status, application.payment) == ("withdrawn", "none")
    assert [event.event for event in application.events.all()] == ["submitted", "withdrawn"]


@pytest.mark.parametrize("late", [PaymentState.PROCESSING, PaymentState.AWAITING])
def test_a_step_that_comes_too_late_changes_nothing(application, late):
    services.withdraw(application_id=application.pk, request_id="")

    services.record_payment(application_id=application.pk, payment=late, event=None)

    application.refresh_from_db()
    assert (application.payment, application.status) == ("none", "withdrawn")


def test_money_that_moves_afterwards_is_shown(application):
    services.withdraw(application_id=application.pk, request_id="")

    for state in (PaymentState.PAID, PaymentState.REFUNDED):
        services.record_payment(application_id=application.pk, payment=state, event=None)
        application.refresh_from_db()
        assert (application.payment, application.status) == (state, "withdrawn")
