"""Replacing a document in a browser: a form on the status page, which also has what is wrong."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from applications import admission
from applications.exceptions import Overloaded, StorageFull
from applications.models import Application, ApplicationFile, EventType
from tests.applications.submissions import (
    BOUNDARY,
    MULTIPART,
    body_of,
    file_part,
    stored_files,
    upload,
)
from tests.factories import ApplicationFactory, ApplicationFileFactory

pytestmark = pytest.mark.django_db

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
REASON = "The PDF is protected with a password."
FAILED = [{"code": "not_encrypted", "verdict": "failed", "detail": REASON}]


@pytest.fixture
def browser(student: User) -> Client:
    client = Client(headers={"Accept": ACCEPT})
    client.force_login(student)
    return client


@pytest.fixture
def rejected(student: User) -> ApplicationFile:
    application = ApplicationFactory.create(
        student=student, documents="failed", status="verification_failed", progress=30
    )
    return ApplicationFileFactory.create(application=application, state="failed", checks=FAILED)


def url(file: ApplicationFile) -> str:
    return f"/applications/{file.application_id}/files/{file.pk}/replacement"


def status_url(application: Application) -> str:
    return f"/applications/{application.pk}/status"


def send(browser: Client, file: ApplicationFile, content: Any = b"%PDF-", **fields: Any) -> Any:
    return browser.post(url(file), {"file": upload(content, "new.pdf"), **fields})


def assert_refused(response: Any, status: int, file: ApplicationFile, *messages: str) -> None:
    """The status page has come back, with these sentences at the document, and nothing changed."""
    assert (response.status_code, response["Content-Type"]) == (status, "text/html; charset=utf-8")
    refusal = response.context["refusal"]
    assert (refusal.file_id, [str(text) for text in refusal.messages]) == (
        str(file.pk),
        list(messages),
    )
    page = response.content.decode()
    assert f'id="replace-{file.pk}"' in page
    assert all(message in page for message in messages)
    assert list(ApplicationFile.objects.all()) == [file]


def test_form_is_at_the_rejected_document(browser, rejected):
    fine = ApplicationFileFactory.create(application=rejected.application, state="verified")

    page = browser.get(status_url(rejected.application)).content.decode()

    assert f'action="{url(rejected)}" hx-preserve' in page
    assert REASON in page
    assert url(fine) not in page


def test_form_is_not_for_staff(staff, rejected):
    client = Client(headers={"Accept": ACCEPT})
    client.force_login(staff)

    page = client.get(status_url(rejected.application)).content.decode()

    assert REASON in page
    assert url(rejected) not in page
    assert send(client, rejected).status_code == 404


def test_form_sends_a_new_version(browser, rejected, storage_dir):
    key = str(uuid.uuid4())

    first = send(browser, rejected, idempotencyKey=key)
    second = send(browser, rejected, idempotencyKey=key)

    assert (first.status_code, first["Location"]) == (303, status_url(rejected.application))
    assert (second.status_code, second["Location"]) == (303, first["Location"])
    new = ApplicationFile.objects.current().get()
    assert (new.name, new.version, new.position) == ("new.pdf", 2, rejected.position)
    assert stored_files(storage_dir) == [b"%PDF-"]


def test_form_without_a_file_is_shown_again(browser, rejected):
    response = browser.post(url(rejected), {"idempotencyKey": "k"})

    assert_refused(response, 400, rejected, "Send one file in its place.")


def test_form_with_a_file_of_another_kind_is_shown_again(browser, rejected, storage_dir):
    response = send(browser, rejected, b"junk")

    assert_refused(response, 400, rejected, "new.pdf is not a PDF, JPEG or PNG file.")
    assert stored_files(storage_dir) == []


def test_form_with_too_large_a_file_is_shown_again(browser, rejected, settings):
    settings.MAX_FILE_BYTES = 2**20

    response = send(browser, rejected, b"%PDF-".ljust(2**20 + 1))

    assert_refused(response, 413, rejected, "new.pdf is larger than 1 MiB.")


def test_form_that_is_too_long_is_not_read(browser, rejected):
    response = browser.generic(
        "POST", url(rejected), b"", content_type=MULTIPART, CONTENT_LENGTH=str(10**9)
    )

    assert_refused(response, 413, rejected, "All of it together is too large.")


def test_form_that_breaks_off_is_refused(browser, rejected, storage_dir):
    body = body_of([file_part("a.pdf", b"%PDF-" + b"x" * 100, field="file")])[:-20]

    response = browser.generic("POST", url(rejected), body, content_type=MULTIPART)

    assert f"--{BOUNDARY}--".encode() not in body
    assert_refused(response, 400, rejected, "Not all of it arrived. Send it again.")
    assert stored_files(storage_dir) == []


def test_form_comes_back_while_there_is_no_room(browser, rejected, settings):
    settings.MIN_FREE_DISK_BYTES = 2**62

    response = send(browser, rejected)

    assert_refused(response, 503, rejected, str(StorageFull.default_detail))
    assert response["Retry-After"] == str(settings.FULL_DISK_RETRY_SECONDS)


def test_form_comes_back_while_too_much_is_waiting(browser, rejected, monkeypatch, storage_dir):
    monkeypatch.setattr(admission.admission, "retry_after_seconds", lambda priority: 90)

    response = send(browser, rejected)

    assert_refused(response, 503, rejected, str(Overloaded.default_detail))
    assert response["Retry-After"] == "90"
    assert stored_files(storage_dir) == []


def test_form_that_was_sent_before_with_another_file_is_shown_again(browser, rejected):
    send(browser, rejected, idempotencyKey="k")

    response = send(browser, rejected, b"%PDF-2", idempotencyKey="k")

    assert response.status_code == 422
    assert "This form was sent before." in response.content.decode()


def test_document_that_was_replaced_meanwhile_is_explained_above_the_page(browser, rejected):
    send(browser, rejected)

    response = send(browser, rejected, b"%PDF-2")

    assert response.status_code == 409
    assert (
        '<p class="notice notice-bad">This document can&#x27;t be replaced: it is fine, or was '
        "replaced already.</p>"
    ) in response.content.decode()
    assert ApplicationFile.objects.count() == 2


def test_document_that_is_fine_is_explained_at_its_place(browser, rejected):
    ApplicationFile.objects.update(state="verified")

    response = send(browser, rejected)

    page = response.content.decode()
    assert response.status_code == 409
    assert page.count("This document can&#x27;t be replaced") == 1
    assert "notice-bad" not in page
    assert url(rejected) not in page


def test_form_needs_its_csrf_token(student, rejected):
    client = Client(enforce_csrf_checks=True, headers={"Accept": ACCEPT})
    client.force_login(student)
    client.get(status_url(rejected.application))
    token = client.cookies["csrftoken"].value

    refused = send(client, rejected)
    accepted = send(client, rejected, csrfmiddlewaretoken=token)

    assert (refused.status_code, accepted.status_code) == (403, 303)


def test_form_of_somebody_else_is_not_there(rejected):
    client = Client(headers={"Accept": ACCEPT})
    client.force_login(ApplicationFactory.create().student)

    assert send(client, rejected).status_code == 404


def test_form_after_the_session_leads_to_the_sign_in(rejected, storage_dir):
    response = send(Client(headers={"Accept": ACCEPT}), rejected)

    location = f"/sign-in?next={status_url(rejected.application)}"
    assert (response.status_code, response["Location"]) == (302, location)
    assert stored_files(storage_dir) == []


def test_address_of_the_form_leads_to_the_status_page(browser, rejected):
    response = browser.get(url(rejected))

    assert response["Location"] == status_url(rejected.application)


def test_client_with_a_token_gets_json_whatever_it_accepts(student, rejected):
    client = Client(
        headers={"Accept": ACCEPT, "Authorization": f"Bearer {AccessToken.for_user(student)}"}
    )

    response = send(client, rejected)

    assert (response.status_code, response["Content-Type"]) == (202, "application/json")
    events = rejected.application.events.values_list("event", flat=True)
    assert list(events) == [EventType.DOCUMENT_REPLACED]
