from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now
from rest_framework.test import APIClient

from accounts.models import User
from applications import services
from applications.models import Application, ApplicationEvent, PaymentState
from applications.polling import retry_after_seconds
from tests.applications.conftest import client_of
from tests.applications.submissions import assert_problem, submit, upload
from tests.factories import ApplicationFactory, ApplicationFileFactory, UserFactory

pytestmark = pytest.mark.django_db

VARY = {"accept", "authorization", "cookie", "accept-language"}


@pytest.fixture
def application(student: User) -> Application:
    return ApplicationFactory.create(student=student)


def url(application: Application) -> str:
    return f"/applications/{application.pk}/status"


def test_status_is_what_the_contract_says(bearer):
    accepted = submit(bearer, upload(name="transcript.pdf")).json()
    application = Application.objects.get()
    (event,) = ApplicationEvent.objects.all()

    response = bearer.get(accepted["statusUrl"])

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert response.json() == {
        "applicationId": accepted["applicationId"],
        "status": "submitted",
        "progress": 25,
        "terminal": False,
        "version": 1,
        "updatedAt": in_utc(application.updated_at),
        "nextAction": None,
        "eta": None,
        "withdrawUrl": f"/applications/{application.pk}/withdrawal",
        "documents": [
            {
                "fileId": str(application.files.get().pk),
                "name": "transcript.pdf",
                "state": "waiting",
                "checks": [],
                "replaceUrl": None,
                "contentUrl": None,
            }
        ],
        "payment": {
            "state": "none",
            "amount": 5000,
            "currency": "USD",
            "payUrl": accepted["payUrl"],
        },
        "timeline": [{"at": in_utc(event.at), "event": "submitted", "detail": None}],
    }


def in_utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def test_status_shows_the_documents_in_order_with_their_checks(bearer, application):
    check = {"code": "readable", "verdict": "failed", "detail": "It is damaged."}
    for position in (2, 0, 1):
        ApplicationFileFactory.create(
            application=application, position=position, name=f"{position}.pdf", checks=[check]
        )

    documents = bearer.get(url(application)).json()["documents"]

    assert [file["name"] for file in documents] == ["0.pdf", "1.pdf", "2.pdf"]
    assert documents[0]["checks"] == [check]


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        ({"status": "submitted"}, None),
        ({"status": "awaiting_payment", "payment": "awaiting"}, "pay"),
        ({"status": "payment_initiated", "payment": "failed"}, "pay"),
        ({"status": "verification_failed", "payment": "awaiting"}, "replace_document"),
        ({"status": "completed", "payment": "paid"}, None),
        ({"status": "withdrawn", "payment": "refunded"}, None),
    ],
)
def test_status_says_what_to_do_next(bearer, student, facts, action):
    application = ApplicationFactory.create(student=student, **facts)

    assert bearer.get(url(application)).json()["nextAction"] == action


def test_status_has_the_headers_of_something_that_changes(bearer, application):
    response = bearer.get(url(application))

    assert response["ETag"] == '"1"'
    assert response["Cache-Control"] == "private, no-cache"
    assert {name.strip().lower() for name in response["Vary"].split(",")} >= VARY
    assert response["Retry-After"] == "2"


@pytest.mark.parametrize("known", ['"1"', 'W/"1"', '"0", "1"', '"0",W/"1" , "2"', "*"])
def test_status_that_the_client_knows_is_not_sent_again(bearer, application, known):
    response = bearer.get(url(application), headers={"If-None-Match": known})

    assert (response.status_code, response.content) == (304, b"")
    assert response["ETag"] == '"1"'
    assert response["Cache-Control"] == "private, no-cache"
    assert response["Retry-After"] == "2"
    assert {name.strip().lower() for name in response["Vary"].split(",")} >= VARY


@pytest.mark.parametrize("known", ['"2"', "1", '"11"', '"1', "", '"0", "2"'])
def test_status_that_the_client_does_not_know_is_sent(bearer, application, known):
    response = bearer.get(url(application), headers={"If-None-Match": known})

    assert (response.status_code, response.json()["version"]) == (200, 1)


def test_status_has_another_etag_after_a_change(bearer, application):
    with transaction.atomic():
        services.record_payment(
            application_id=application.pk, payment=PaymentState.AWAITING, event=None
        )

    response = bearer.get(url(application), headers={"If-None-Match": '"1"'})

    assert (response.status_code, response["ETag"]) == (200, '"2"')
    assert response.json()["status"] == "awaiting_payment"


@pytest.mark.parametrize(
    ("seconds", "wait"), [(0, 2), (9, 2), (10, 5), (59, 5), (60, 15), (599, 15), (600, 60)]
)
def test_retry_after_grows_while_nothing_happens(seconds, wait):
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    changed = (now - timedelta(seconds=seconds)).isoformat()

    assert retry_after_seconds({"terminal": False, "updatedAt": changed}, now=now) == wait
    assert retry_after_seconds({"terminal": True, "updatedAt": changed}, now=now) is None


def test_status_of_long_ago_is_to_be_asked_for_rarely(bearer, application):
    Application.objects.update(updated_at=Now() - timedelta(hours=1))

    assert bearer.get(url(application))["Retry-After"] == "60"


@pytest.mark.parametrize("status", ["completed", "withdrawn"])
def test_a_terminal_status_is_not_to_be_asked_for_again(bearer, student, status):
    application = ApplicationFactory.create(student=student, status=status)

    response = bearer.get(url(application))

    assert response.json()["terminal"] is True
    assert "Retry-After" not in response


def test_status_is_read_from_the_cache_without_the_database(
    bearer, application, django_assert_num_queries
):
    first = bearer.get(url(application))

    with django_assert_num_queries(1) as queries:  # who is it that asks
        second = bearer.get(url(application))

    assert "accounts_user" in queries[0]["sql"]
    assert second.content == first.content


@pytest.mark.parametrize("warm", [False, True])
def test_status_of_somebody_else_is_not_there(bearer, application, warm):
    if warm:
        bearer.get(url(application))

    response = client_of(UserFactory.create()).get(url(application))

    assert_problem(response, 404, "not_found")


def test_status_of_an_unknown_application_is_not_there(bearer):
    assert_problem(bearer.get(f"/applications/{uuid.uuid4()}/status"), 404, "not_found")
    assert_problem(bearer.get("/applications/1/status"), 404, "not_found")


def test_status_is_shown_to_staff(staff_bearer, application):
    assert staff_bearer.get(url(application)).json()["applicationId"] == str(application.pk)


def test_status_is_for_people_who_are_signed_in(application):
    assert_problem(APIClient().get(url(application)), 401, "not_authenticated")
