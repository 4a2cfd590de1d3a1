"""What a browser is shown where an API client gets JSON, and the form for an application."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from applications.models import Application
from tests.applications.submissions import (
    BOUNDARY,
    MULTIPART,
    STATEMENT,
    assert_nothing_is_left,
    body_of,
    file_part,
    stored_files,
    text_part,
    upload,
)
from tests.factories import ApplicationFactory, ApplicationFileFactory, StaffFactory

pytestmark = pytest.mark.django_db

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
HTMX = {"HX-Request": "true", "Accept": "*/*"}
HTML = "text/html; charset=utf-8"


@pytest.fixture
def browser(student: User) -> Client:
    client = Client(headers={"Accept": ACCEPT})
    client.force_login(student)
    return client


@pytest.fixture
def application(student: User) -> Application:
    return ApplicationFactory.create(student=student)


def url(application: Application) -> str:
    return f"/applications/{application.pk}/status"


def send(browser: Client, *files: Any, statement: str = STATEMENT, **fields: Any) -> Any:
    return browser.post("/apply", {"personalStatement": statement, "files": list(files), **fields})


def test_status_is_a_page_for_a_browser(browser, application):
    response = browser.get(url(application))

    assert (response.status_code, response["Content-Type"]) == (200, HTML)
    assert response["Cache-Control"] == "private, no-store"
    names = {name.strip().lower() for name in response["Vary"].split(",")}
    assert names >= {"accept", "cookie", "accept-language"}
    page = response.content.decode()
    assert "<html" in page
    assert f'hx-get="{url(application)}?since=1"' in page


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/json, text/html;q=0.5"])
def test_status_is_json_for_everybody_else(browser, application, accept):
    response = browser.get(url(application), headers={"Accept": accept})

    assert response["Content-Type"] == "application/json"


def test_status_fragment_is_for_htmx(browser, application):
    response = browser.get(f"{url(application)}?since=0", headers=HTMX)

    page = response.content.decode()
    assert (response.status_code, "<html" in page, 'id="status"' in page) == (200, False, True)


def test_status_fragment_is_left_out_when_nothing_has_changed(browser, application):
    response = browser.get(f"{url(application)}?since=1", headers=HTMX)

    assert (response.status_code, response.content) == (204, b"")


def test_status_fragment_of_a_finished_application_stops_the_polling(browser, student):
    application = ApplicationFactory.create(student=student, status="completed", progress=100)

    fragment = browser.get(f"{url(application)}?since=0", headers=HTMX)
    page = browser.get(url(application))

    assert (fragment.status_code, page.status_code) == (286, 200)
    assert "hx-get" not in fragment.content.decode() + page.content.decode()


def test_status_page_escapes_what_people_wrote(browser, application):
    ApplicationFileFactory.create(
        application=application,
        name="<script>alert(1)</script>.pdf",
        state="failed",
        checks=[{"code": "readable", "verdict": "failed", "detail": "It is <b>damaged</b>."}],
    )

    page = browser.get(url(application)).content.decode()

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.pdf" in page
    assert "It is &lt;b&gt;damaged&lt;/b&gt;." in page


def test_status_page_leads_to_the_payment_when_the_fee_is_due(browser, student):
    application = ApplicationFactory.create(
        student=student, payment="awaiting", status="awaiting_payment", progress=75
    )

    page = browser.get(url(application)).content.decode()

    assert f'href="/payments/checkout/{application.pk}"' in page
    assert "50.00 USD" in page


SCANNED = [{"code": "malware", "verdict": "passed", "detail": "No malware was found."}]


def content_url(file: Any) -> str:
    return f"/applications/{file.application_id}/files/{file.pk}/content"


def test_status_page_offers_scanned_documents_for_download(browser, application):
    scanned = ApplicationFileFactory.create(application=application, checks=SCANNED)
    other = ApplicationFileFactory.create(application=application)

    page = browser.get(url(application)).content.decode()

    assert f'href="{content_url(scanned)}"' in page
    assert content_url(other) not in page


def test_status_page_offers_downloads_to_staff_with_the_permission_only(application):
    file = ApplicationFileFactory.create(application=application, checks=SCANNED)
    staff = StaffFactory.create(is_superuser=False)
    client = Client(headers={"Accept": ACCEPT})
    client.force_login(staff)
    assert content_url(file) not in client.get(url(application)).content.decode()

    staff.user_permissions.add(Permission.objects.get(codename="download_applicationfile"))

    assert content_url(file) in client.get(url(application)).content.decode()


def test_download_asks_to_sign_in(application):
    file = ApplicationFileFactory.create(application=application, checks=SCANNED)

    response = Client(headers={"Accept": ACCEPT}).get(content_url(file))

    location = f"/sign-in?next={url(application)}"
    assert (response.status_code, response["Location"]) == (302, location)


def test_download_that_was_not_scanned_is_explained(browser, application):
    file = ApplicationFileFactory.create(application=application)

    response = browser.get(content_url(file))

    assert (response.status_code, response["Content-Type"]) == (409, HTML)
    assert "it was not scanned for malware" in response.content.decode()


def test_status_page_of_somebody_else_is_not_there(browser):
    for path in (url(ApplicationFactory.create()), f"/applications/{uuid.uuid4()}/status"):
        response = browser.get(path)
        assert (response.status_code, response["Content-Type"]) == (404, HTML)


def test_status_page_asks_to_sign_in(application):
    response = Client(headers={"Accept": ACCEPT}).get(url(application))

    assert (response.status_code, response["Location"]) == (
        302,
        f"/sign-in?next={url(application)}",
    )


def test_status_fragment_without_a_session_leads_the_whole_page_to_sign_in(application):
    response = Client().get(url(application), headers=HTMX)

    assert response["HX-Redirect"] == f"/sign-in?next={url(application)}"


def test_page_of_an_application_is_its_status(browser, application):
    response = browser.get(f"/applications/{application.pk}")

    assert (response.status_code, response["Location"]) == (302, url(application))


@pytest.mark.parametrize("size", [1, 3])
def test_list_makes_the_same_queries_for_any_size(
    browser, student, size, django_assert_num_queries
):
    ApplicationFactory.create_batch(size, student=student)
    ApplicationFactory.create()

    with django_assert_num_queries(3):  # session, user, applications
        page = browser.get("/applications").content.decode()

    assert page.count("/status") == size


def test_form_sends_an_application(browser, student, storage_dir):
    key = str(uuid.uuid4())

    first = send(browser, upload(), idempotencyKey=key)
    second = send(browser, upload(), idempotencyKey=key)

    application = Application.objects.get()
    assert (first.status_code, first["Location"]) == (302, url(application))
    assert second["Location"] == first["Location"]
    assert (application.student, application.files.get().name) == (student, "transcript.pdf")
    assert len(stored_files(storage_dir)) == 1


def test_form_has_a_new_key_each_time_it_is_shown(browser):
    keys = {browser.get("/apply").context["idempotency_key"] for _ in range(2)}

    assert len(keys) == 2


@pytest.mark.parametrize(
    ("files", "statement", "status", "wrong"),
    [
        ([], "", 400, ["personalStatement"]),
        ([b"junk"], STATEMENT, 400, ["files"]),
        ([b"junk"], "", 400, ["personalStatement", "files"]),
        ([b"%PDF-"] * 6, STATEMENT, 400, ["files"]),
        ([b"%PDF-"] * 7, STATEMENT, 400, ["form", "files"]),
        ([b"%PDF-".ljust(1001)], STATEMENT, 413, ["files"]),
    ],
)
def test_form_with_a_mistake_is_shown_again(
    browser, storage_dir, settings, files, statement, status, wrong
):
    settings.MAX_FILE_BYTES = 1000

    response = send(browser, *map(upload, files), statement=statement)

    assert (response.status_code, list(response.context["errors"])) == (status, wrong)
    assert_nothing_is_left(storage_dir)


def test_form_keeps_the_statement_when_a_file_is_refused(browser):
    statement = "</textarea><script>alert(1)</script>"

    page = send(browser, upload(b"junk"), statement=statement).content.decode()

    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("length", [60, 200, 270])
def test_form_that_breaks_off_is_refused(browser, storage_dir, length):
    """A connection that is lost in the middle must not make an application with fewer files."""
    body = body_of(
        [text_part("personalStatement", STATEMENT), file_part("a.pdf", b"%PDF-" + b"x" * 100)]
    )

    response = browser.generic("POST", "/apply", body[:length], content_type=MULTIPART)

    assert (response.status_code, response["Content-Type"]) == (400, HTML)
    assert f"--{BOUNDARY}--".encode() not in body[:length]
    assert_nothing_is_left(storage_dir)


def test_form_that_is_too_long_is_not_read(browser, storage_dir):
    response = browser.generic(
        "POST", "/apply", b"", content_type=MULTIPART, CONTENT_LENGTH=str(10**9)
    )

    assert response.status_code == 413
    assert_nothing_is_left(storage_dir)


def test_form_needs_its_csrf_token(student, storage_dir):
    client = Client(enforce_csrf_checks=True, headers={"Accept": ACCEPT})
    client.force_login(student)
    client.get("/apply")
    token = client.cookies["csrftoken"].value

    refused = send(client, upload())
    accepted = send(client, upload(), csrfmiddlewaretoken=token)

    assert (refused.status_code, accepted.status_code) == (403, 302)
    assert Application.objects.count() == len(stored_files(storage_dir)) == 1


@pytest.mark.parametrize("key", ["x" * 256, "schlüssel"])
def test_form_with_a_spoiled_key_is_shown_again(browser, storage_dir, key):
    response = send(browser, upload(), idempotencyKey=key)

    assert response.status_code == 400
    assert_nothing_is_left(storage_dir)


def test_form_is_for_people_who_are_signed_in(storage_dir):
    response = send(Client(), upload())

    assert (response.status_code, response["Location"]) == (302, "/sign-in?next=/apply")
    assert_nothing_is_left(storage_dir)


def test_first_page_leads_on(browser):
    assert Client().get("/").status_code == 200
    assert browser.get("/")["Location"] == "/applications"
