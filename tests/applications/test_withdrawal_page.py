"""Withdrawing in a browser: asked once more, told what happens, and never done by a look."""

from __future__ import annotations

import pytest
from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from applications.models import Application
from tests.factories import ApplicationFactory, UserFactory

pytestmark = pytest.mark.django_db

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def browser_of(user: User) -> Client:
    client = Client(headers={"Accept": ACCEPT})
    client.force_login(user)
    return client


@pytest.fixture
def browser(student: User) -> Client:
    return browser_of(student)


@pytest.fixture
def application(student: User) -> Application:
    return ApplicationFactory.create(student=student, status="awaiting_payment", progress=75)


def url(application: Application) -> str:
    return f"/applications/{application.pk}/withdrawal"


def status_url(application: Application) -> str:
    return f"/applications/{application.pk}/status"


def test_page_asks_and_changes_nothing(browser, application):
    response = browser.get(url(application))

    application.refresh_from_db()
    assert (response.status_code, application.status) == (200, "awaiting_payment")
    assert "You have paid no fee" in response.content.decode()


def test_page_says_how_much_is_paid_back(browser, application):
    Application.objects.update(payment="paid", status="verifying")

    page = browser.get(url(application)).content.decode()

    assert 'We pay the fee of <strong class="number">50.00 USD</strong> back in full' in page


def test_form_withdraws_and_leads_back(browser, application):
    first = browser.post(url(application))
    second = browser.post(url(application))

    application.refresh_from_db()
    assert (first.status_code, first["Location"]) == (303, status_url(application))
    assert (second.status_code, second["Location"]) == (303, status_url(application))
    assert (application.status, application.events.count()) == ("withdrawn", 1)


def test_page_of_a_withdrawn_application_is_its_status(browser, application):
    browser.post(url(application))

    assert browser.get(url(application))["Location"] == status_url(application)


def test_complete_application_is_not_withdrawn_but_explained(browser, application):
    Application.objects.update(status="completed", progress=100)

    shown, refused = browser.get(url(application)), browser.post(url(application))

    assert (shown.status_code, refused.status_code) == (200, 409)
    for response in (shown, refused):
        page = response.content.decode()
        assert "<h1>This can't be withdrawn any more</h1>" in page
        assert "Withdraw the application" not in page
    application.refresh_from_db()
    assert application.status == "completed"


def test_form_needs_its_csrf_token(student, application):
    client = Client(enforce_csrf_checks=True, headers={"Accept": ACCEPT})
    client.force_login(student)
    client.get(url(application))
    token = client.cookies["csrftoken"].value

    refused = client.post(url(application))
    accepted = client.post(url(application), {"csrfmiddlewaretoken": token})

    assert (refused.status_code, accepted.status_code) == (403, 303)


def test_page_is_for_the_student_alone(application, staff):
    for user in (staff, UserFactory.create()):
        client = browser_of(user)
        assert client.get(url(application)).status_code == 404
        assert client.post(url(application)).status_code == 404
    application.refresh_from_db()
    assert application.status == "awaiting_payment"


def test_page_asks_to_sign_in(application):
    client = Client(headers={"Accept": ACCEPT})

    for response in (client.get(url(application)), client.post(url(application))):
        location = f"/sign-in?next={url(application)}"
        assert (response.status_code, response["Location"]) == (302, location)


def test_client_with_a_token_gets_json_whatever_it_accepts(student, application):
    token = AccessToken.for_user(student)
    client = Client(headers={"Accept": ACCEPT, "Authorization": f"Bearer {token}"})

    response = client.post(url(application))

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


def test_status_page_leads_to_it_only_while_it_is_possible(browser, staff, application):
    assert url(application) in browser.get(status_url(application)).content.decode()
    assert url(application) not in browser_of(staff).get(status_url(application)).content.decode()

    browser.post(url(application))

    assert url(application) not in browser.get(status_url(application)).content.decode()


@pytest.mark.parametrize(
    ("payment", "goes_on"), [("paid", True), ("refunded", False), ("awaiting", False)]
)
def test_status_page_waits_for_the_refund(browser, student, payment, goes_on):
    application = ApplicationFactory.create(
        student=student, status="withdrawn", payment=payment, progress=75
    )

    page = browser.get(status_url(application)).content.decode()
    fragment = browser.get(
        f"{status_url(application)}?since=1", headers={"HX-Request": "true", "Accept": "*/*"}
    )

    assert ("hx-get" in page) is goes_on
    assert fragment.status_code == (204 if goes_on else 286)
