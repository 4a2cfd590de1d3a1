"""Errors as documents for API clients and as pages for people, whoever raises them."""

from __future__ import annotations

import uuid

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from rest_framework.exceptions import ErrorDetail
from rest_framework.test import APIClient

from accounts.models import User
from config import problems, urls
from tests.applications.conftest import client_of
from tests.applications.submissions import assert_problem

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
HTML = "text/html; charset=utf-8"


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a bug")


class Broken:
    """The site with one address more, whose view has a bug."""

    urlpatterns = [*urls.urlpatterns, path("broken", broken)]
    handler400, handler403 = urls.handler400, urls.handler403
    handler404, handler500 = urls.handler404, urls.handler500


@pytest.fixture
def browser() -> Client:
    return Client(headers={"Accept": ACCEPT}, raise_request_exception=False)


@pytest.fixture
def anyone() -> APIClient:
    return APIClient(raise_request_exception=False)


@pytest.mark.parametrize(
    "path", ["/nothing", "/applications/", "/applications/1", "/payments/checkout/1", "/auth"]
)
def test_an_unknown_address_is_a_problem_or_a_page(anyone, browser, path):
    assert_problem(anyone.get(path), 404, "not_found")
    page = browser.get(path)
    assert (page.status_code, page["Content-Type"]) == (404, HTML)
    assert "<html" in page.content.decode()


@pytest.mark.django_db
def test_an_object_that_is_not_there_is_a_problem_or_a_page(student: User, browser):
    browser.force_login(student)
    path = f"/applications/{uuid.uuid4()}/status"

    assert_problem(client_of(student).get(path), 404, "not_found")
    page = browser.get(path)
    assert (page.status_code, page["Content-Type"]) == (404, HTML)


def test_a_bug_is_a_problem_or_a_page_and_tells_nothing(anyone, browser, settings):
    settings.ROOT_URLCONF = Broken

    response = anyone.get("/broken")
    assert_problem(response, 500, "internal_server_error")
    assert "a bug" not in response.content.decode()
    page = browser.get("/broken")
    assert (page.status_code, page["Content-Type"]) == (500, HTML)
    assert "a bug" not in page.content.decode()


def test_a_foreign_host_is_a_problem_or_a_page(anyone, browser):
    headers = {"Host": "evil.example"}

    response = anyone.get("/applications", headers=headers)
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    page = browser.get("/", headers={**headers, "Accept": ACCEPT})
    assert (page.status_code, page["Content-Type"]) == (400, HTML)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/auth/token", "POST, OPTIONS"),
        ("PUT", "/auth/register", "POST, OPTIONS"),
        ("POST", "/schema", "GET, HEAD, OPTIONS"),
        ("DELETE", "/payments/webhooks/sandbox", "POST, OPTIONS"),
    ],
)
def test_a_wrong_method_is_a_problem(anyone, method, path, allowed):
    response = anyone.generic(method, path)

    assert_problem(response, 405, "method_not_allowed")
    assert response["Allow"] == allowed


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/auth/token", 405), ("POST", "/applications", 401)],
)
def test_an_error_of_the_api_is_a_page_for_a_browser(browser, method, path, status):
    page = browser.generic(method, path)

    assert (page.status_code, page["Content-Type"]) == (status, HTML)
    assert "<html" in page.content.decode()


def test_a_page_keeps_the_headers_of_the_error(browser):
    assert browser.get("/auth/token")["Allow"] == "POST, OPTIONS"
    assert browser.post("/applications")["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_form_without_its_token_is_a_problem_or_a_page():
    for accept, content_type in [("*/*", "application/problem+json"), (ACCEPT, HTML)]:
        client = Client(enforce_csrf_checks=True, headers={"Accept": accept})
        response = client.post("/sign-in", {})
        assert (response.status_code, response["Content-Type"]) == (403, content_type)


@pytest.mark.parametrize("accept", ["application/xml", "image/png", ""])
def test_a_client_that_accepts_neither_gets_the_document(accept):
    assert_problem(APIClient().get("/nothing", headers={"Accept": accept}), 404, "not_found")


def test_pointers_name_nested_fields_as_rfc_6901_says():
    detail = {
        "files": {0: [ErrorDetail("bad", code="a")], "non_field_errors": [ErrorDetail("b", "b")]},
        "odd/na~me": [ErrorDetail("c", code="c")],
        "non_field_errors": [ErrorDetail("d", code="d")],
    }

    errors = list(problems._field_errors(detail))

    assert [(error["pointer"], error["code"]) for error in errors] == [
        ("/files/0", "a"),
        ("/files", "b"),
        ("/odd~1na~0me", "c"),
        ("", "d"),
    ]
