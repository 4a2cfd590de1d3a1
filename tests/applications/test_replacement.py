"""Replacing one document of an application."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from applications.models import Application, ApplicationFile
from outbox.models import Outbox, Outcome
from tests.applications.conftest import client_of
from tests.applications.documents import PDF_HEAD, encrypted_pdf, pdf
from tests.applications.submissions import (
    BOUNDARY,
    MULTIPART,
    assert_problem,
    body_of,
    file_part,
    stored_files,
    submit,
    upload,
)
from tests.factories import ApplicationFactory, ApplicationFileFactory, StaffFactory, UserFactory
from tests.working import work_off

pytestmark = pytest.mark.django_db


@pytest.fixture
def application(student: User) -> Application:
    return ApplicationFactory.create(
        student=student, documents="failed", status="verification_failed", progress=75
    )


@pytest.fixture
def rejected(application: Application) -> ApplicationFile:
    return ApplicationFileFactory.create(application=application, state="failed")


def url(file: ApplicationFile) -> str:
    return f"/applications/{file.application_id}/files/{file.pk}/replacement"


def replace(
    client: APIClient, file: ApplicationFile, *content: bytes, key: str | None = None
) -> Any:
    files = [upload(each, "better.pdf") for each in content]
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(url(file), {"file": files}, format="multipart", headers=headers)


def test_a_replacement_is_a_new_version_in_the_same_place(bearer, application, rejected):
    other = ApplicationFileFactory.create(application=application, state="verified")

    response = replace(bearer, rejected, PDF_HEAD)

    rejected.refresh_from_db()
    new = application.files.get(version=2)
    assert response.status_code == 202
    assert response.json() == {
        "applicationId": str(application.pk),
        "status": "verifying",
        "progress": 75,
        "statusUrl": f"/applications/{application.pk}/status",
        "payUrl": f"/payments/checkout/{application.pk}",
        "fileId": str(new.pk),
    }
    assert (response["Location"], response["Retry-After"]) == (response.json()["statusUrl"], "2")
    assert (rejected.state, rejected.replaced_at is None) == ("failed", False)
    assert (new.position, new.name, new.state) == (rejected.position, "better.pdf", "waiting")
    assert list(application.files.current()) == sorted([new, other], key=lambda f: f.position)
    (row,) = Outbox.objects.values("event_type", "payload", "aggregate_id", "dedupe_key")
    assert row == {
        "event_type": "document_uploaded",
        "payload": {"fileId": str(new.pk)},
        "aggregate_id": application.pk,
        "dedupe_key": f"document_uploaded:{new.pk}",
    }


@pytest.mark.django_db(transaction=True)
def test_a_replacement_is_verified_and_the_application_goes_on(bearer, mailoutbox):
    submit(bearer, upload(pdf()), upload(encrypted_pdf(user="s", owner="o"), "locked.pdf"))
    Outbox.objects.filter(event_type="application_submitted").delete()
    work_off()
    application = Application.objects.get()
    locked = application.files.get(name="locked.pdf")

    assert replace(bearer, locked, pdf(pages=2)).status_code == 202
    assert work_off() == [Outcome.SUCCEEDED]

    status = bearer.get(f"/applications/{application.pk}/status").json()
    assert (status["status"], status["nextAction"]) == ("verified", None)
    assert [(file["name"], file["state"]) for file in status["documents"]] == [
        ("transcript.pdf", "verified"),
        ("better.pdf", "verified"),
    ]
    assert [entry["event"] for entry in status["timeline"]][-2:] == [
        "document_replaced",
        "document_verified",
    ]


@pytest.mark.django_db(transaction=True)
def test_a_second_bad_version_is_told_of_again(bearer, mailoutbox):
    submit(bearer, upload(encrypted_pdf(user="s", owner="o"), "locked.pdf"))
    work_off()
    mailoutbox.clear()

    replace(bearer, ApplicationFile.objects.get(), encrypted_pdf(user="other", owner="o"))
    work_off()

    assert [mail.subject for mail in mailoutbox] == [
        "Your application: a document needs your attention"
    ]
    assert "better.pdf" in mailoutbox[0].body


def test_the_same_key_gets_the_same_answer_and_replaces_once(bearer, rejected, storage_dir):
    first = replace(bearer, rejected, PDF_HEAD, key="k")
    second = replace(bearer, rejected, PDF_HEAD, key="k")

    assert (second.status_code, second.json()) == (202, first.json())
    assert second["Idempotency-Replayed"] == "true"
    assert (ApplicationFile.objects.count(), stored_files(storage_dir)) == (2, [PDF_HEAD])


def test_the_same_key_with_another_file_is_refused(bearer, rejected, storage_dir):
    replace(bearer, rejected, PDF_HEAD, key="k")

    response = replace(bearer, rejected, PDF_HEAD + b"other", key="k")

    assert_problem(response, 422, "idempotency_key_reused")
    assert stored_files(storage_dir) == [PDF_HEAD]


@pytest.mark.parametrize("state", ["waiting", "verifying", "verified"])
def test_a_document_that_needs_no_replacement_keeps_its_version(
    bearer, application, storage_dir, state
):
    file = ApplicationFileFactory.create(application=application, state=state)

    response = replace(bearer, file, PDF_HEAD)

    assert_problem(response, 409, "not_replaceable")
    assert (ApplicationFile.objects.get(), stored_files(storage_dir)) == (file, [])


def test_a_document_that_staff_look_at_can_be_replaced(bearer, application):
    file = ApplicationFileFactory.create(application=application, state="needs_review")

    assert replace(bearer, file, PDF_HEAD).status_code == 202


def test_a_replaced_version_is_not_replaced_again(bearer, rejected):
    replace(bearer, rejected, PDF_HEAD)

    assert_problem(replace(bearer, rejected, PDF_HEAD), 409, "not_replaceable")
    assert ApplicationFile.objects.count() == 2


@pytest.mark.parametrize("status", ["withdrawn", "completed"])
def test_nothing_is_replaced_once_the_application_has_ended(bearer, rejected, status):
    Application.objects.update(status=status)

    assert_problem(replace(bearer, rejected, PDF_HEAD), 409, "not_replaceable")


@pytest.mark.parametrize(
    ("contents", "pointer", "code"),
    [
        ([b"no pdf"], "file.0", "unsupported_type"),
        ([b""], "file.0", "empty_file"),
        ([], "file", "required"),
        ([PDF_HEAD, PDF_HEAD], "file", "required"),
    ],
)
def test_a_replacement_that_is_refused_leaves_the_key_free(
    bearer, rejected, storage_dir, contents, pointer, code
):
    response = replace(bearer, rejected, *contents, key="k")

    assert_problem(response, 400, "invalid", **{pointer: code})
    assert (ApplicationFile.objects.count(), stored_files(storage_dir)) == (1, [])
    assert replace(bearer, rejected, PDF_HEAD, key="k").status_code == 202


def test_a_file_over_the_limit_is_refused(bearer, rejected, settings, storage_dir):
    settings.MAX_FILE_BYTES = len(PDF_HEAD)
    assert_problem(replace(bearer, rejected, PDF_HEAD + b"x"), 413, "too_large")
    assert stored_files(storage_dir) == []

    assert replace(bearer, rejected, PDF_HEAD).status_code == 202


def test_files_of_other_names_are_refused(bearer, rejected):
    response = bearer.post(url(rejected), {"files": upload()}, format="multipart")

    assert_problem(response, 400, "invalid", files="unknown_field")


def test_only_the_owner_replaces(rejected):
    for user in (UserFactory.create(), StaffFactory.create()):
        assert_problem(replace(client_of(user), rejected, PDF_HEAD), 404, "not_found")
    assert_problem(replace(APIClient(), rejected, PDF_HEAD), 401, "not_authenticated")


def test_a_file_of_another_application_is_not_found(bearer, student, rejected):
    other = ApplicationFactory.create(student=student)
    address = f"/applications/{other.pk}/files/{rejected.pk}/replacement"

    response = bearer.post(address, {"file": upload()}, format="multipart")

    assert_problem(response, 404, "not_found")


def test_a_body_that_breaks_off_replaces_nothing(bearer, rejected, storage_dir):
    body: Any = body_of([file_part("better.pdf", PDF_HEAD, field="file")])
    cut = body[: -len(BOUNDARY) - 6]

    response = bearer.generic("POST", url(rejected), cut, content_type=MULTIPART)

    assert_problem(response, 400, "parse_error")
    assert (ApplicationFile.objects.count(), stored_files(storage_dir)) == (1, [])


def test_another_type_of_body_is_refused(bearer, rejected):
    response = bearer.post(url(rejected), {"file": "x"}, format="json")

    assert_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("method", "status"), [("get", 405), ("head", 405), ("put", 405), ("options", 200)]
)
def test_only_a_replacement_needs_a_body(bearer, rejected, method, status):
    assert getattr(bearer, method)(url(rejected)).status_code == status


@pytest.mark.django_db(transaction=True)
def test_two_replacements_at_the_same_moment_make_one_version(student, rejected, storage_dir):
    barrier = threading.Barrier(2)

    def send(_: int) -> int:
        barrier.wait()
        try:
            return replace(client_of(student), rejected, PDF_HEAD).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(send, range(2)))

    assert codes == [202, 409]
    assert (ApplicationFile.objects.count(), stored_files(storage_dir)) == (2, [PDF_HEAD])
