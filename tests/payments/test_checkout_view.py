from __future__ import annotations

import pytest
from django.test import Client
from rest_framework.test import APIClient

from applications.models import Application
from payments.models import Payment
from tests.applications.conftest import client_of
from tests.applications.submissions import assert_problem
from tests.factories import StaffFactory, UserFactory

pytestmark = pytest.mark.django_db

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PROVIDER_URL = "http://provider.example/checkout/cs_1"


@pytest.fixture
def url(payment: Payment) -> str:
    return f"/payments/checkout/{payment.application_id}"


@pytest.fixture
def browser(payment: Payment) -> Client:
    client = Client(headers=BROWSER)
    client.force_login(payment.application.student)
    return client


def test_the_page_shows_the_fee_and_changes_nothing(browser, url):
    response = browser.get(url)

    assert response.status_code == 200
    assert "50.00 USD" in response.content.decode()
    assert Application.objects.get().version == 1


def test_the_form_leads_to_the_provider(browser, url):
    response = browser.post(url)

    assert (response.status_code, response["Location"]) == (303, PROVIDER_URL)
    assert Application.objects.get().status == "payment_initiated"


def test_the_form_needs_its_token(payment, url):
    client = Client(enforce_csrf_checks=True, headers=BROWSER)
    client.force_login(payment.application.student)

    response = client.post(url)

    assert (response.status_code, response["Content-Type"]) == (403, "text/html; charset=utf-8")
    assert Application.objects.get().version == 1


def test_a_client_with_a_token_is_redirected_to_the_provider(payment, url):
    response = client_of(payment.application.student).post(url)

    assert (response.status_code, response["Location"]) == (303, PROVIDER_URL)


def test_nothing_to_pay_is_a_conflict(payment, browser, url):
    Payment.objects.update(state="processing")

    assert_problem(client_of(payment.application.student).post(url), 409, "nothing_to_pay")
    page = browser.post(url)
    assert (page.status_code, page["Content-Type"]) == (409, "text/html; charset=utf-8")


def test_a_provider_that_is_away_is_told(payment, browser, url, settings):
    settings.SANDBOX_URL = "http://127.0.0.1:1"
    settings.SANDBOX_WEBHOOK_SECRETS = ["whsec_c2VjcmV0"]
    Payment.objects.update(checkout_expires_at="2020-01-01T00:00:00Z")

    assert_problem(client_of(payment.application.student).post(url), 502, "provider_unavailable")
    page = browser.post(url)
    assert (page.status_code, page["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert Application.objects.get().version == 1


def test_the_checkout_of_somebody_else_is_not_there(url):
    stranger = UserFactory.create()
    browser = Client(headers=BROWSER)
    browser.force_login(stranger)

    assert_problem(client_of(stranger).post(url), 404, "not_found")
    assert (browser.get(url).status_code, browser.post(url).status_code) == (404, 404)


def test_the_checkout_is_shown_to_staff(url):
    browser = Client(headers=BROWSER)
    browser.force_login(StaffFactory.create())

    assert "50.00 USD" in browser.get(url).content.decode()


def test_nobody_is_let_in_without_signing_in(url):
    browser = Client(headers=BROWSER)

    for response in (browser.get(url), browser.post(url)):
        assert (response.status_code, response["Location"]) == (302, f"/sign-in?next={url}")
    assert_problem(APIClient().post(url), 401, "not_authenticated")
    wrong = APIClient()
    wrong.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    assert_problem(wrong.post(url), 401, "token_not_valid")


def test_a_paid_fee_is_not_asked_for(browser, url):
    Application.objects.update(payment="paid")

    page = browser.get(url).content.decode()

    assert "has been paid" in page
    assert "Go to the payment page" not in page
