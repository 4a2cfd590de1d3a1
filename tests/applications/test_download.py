"""Documents are private: who may download which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from applications.models import Application, ApplicationFile, DocumentAccess
from tests.applications.conftest import client_of
from tests.applications.documents import PDF_HEAD
from tests.applications.submissions import assert_problem, submit, upload
from tests.factories import StaffFactory, UserFactory

pytestmark = pytest.mark.django_db

SCANNED = [{"code": "malware", "verdict": "passed", "detail": "No malware was found."}]


@pytest.fixture
def file(bearer) -> ApplicationFile:
    submit(bearer, upload(PDF_HEAD, 'Zeugnis "á".pdf'))
    ApplicationFile.objects.update(checks=SCANNED)
    return ApplicationFile.objects.get()


def url(file: ApplicationFile) -> str:
    return f"/applications/{file.application_id}/files/{file.pk}/content"


def content(response: Any) -> bytes:
    """Read an answer to its end, as a server does."""
    assert response.status_code == 200
    return b"".join(response.streaming_content)


def test_the_owner_downloads_what_was_sent(bearer, file):
    response = bearer.get(url(file))

    assert content(response) == PDF_HEAD
    assert {
        name: response[name]
        for name in (
            "Content-Type",
            "Content-Disposition",
            "Content-Length",
            "X-Content-Type-Options",
            "Content-Security-Policy",
            "Cache-Control",
        )
    } == {
        "Content-Type": "application/pdf",
        "Content-Disposition": "attachment; filename*=utf-8''Zeugnis%20%22%C3%A1%22.pdf",
        "Content-Length": str(len(PDF_HEAD)),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }
    assert DocumentAccess.objects.count() == 0


@pytest.mark.parametrize("accept", ["application/pdf", "application/octet-stream"])
def test_a_download_asks_for_whatever_type_it_likes(bearer, file, accept):
    headers = {"Accept": accept}

    assert content(bearer.get(url(file), headers=headers)) == PDF_HEAD
    ApplicationFile.objects.update(checks=[])
    assert_problem(bearer.get(url(file), headers=headers), 409, "not_scanned")


@pytest.mark.parametrize("verdict", ["failed", "needs_review", "not_checked"])
def test_nobody_downloads_what_was_not_found_clean(bearer, staff_bearer, file, verdict):
    ApplicationFile.objects.update(checks=[SCANNED[0] | {"verdict": verdict}])

    for client in (bearer, staff_bearer):
        assert_problem(client.get(url(file)), 409, "not_scanned")
    assert DocumentAccess.objects.count() == 0


def test_nobody_downloads_before_the_checks(bearer, file):
    ApplicationFile.objects.update(checks=[])

    assert_problem(bearer.get(url(file)), 409, "not_scanned")


def test_another_student_does_not_even_learn_that_it_exists(file):
    assert_problem(client_of(UserFactory.create()).get(url(file)), 404, "not_found")
    assert_problem(APIClient().get(url(file)), 401, "not_authenticated")


def test_staff_need_a_permission(file):
    member = StaffFactory.create(is_superuser=False)
    assert_problem(client_of(member).get(url(file)), 403, "permission_denied")

    member.user_permissions.add(Permission.objects.get(codename="download_applicationfile"))

    assert content(client_of(member).get(url(file))) == PDF_HEAD


def test_a_download_by_staff_is_noted(staff, staff_bearer, file, caplog):
    with caplog.at_level("INFO", logger="applications.documents"):
        content(staff_bearer.get(url(file)))

    access = DocumentAccess.objects.get()
    assert (access.file, access.user, access.kind) == (file, staff, "downloaded")
    assert [record.getMessage() for record in caplog.records] == [
        f"document downloaded file={file.pk} user={staff.pk}"
    ]


def test_a_file_that_the_storage_has_lost_is_not_found(bearer, file, storage_dir: Path, caplog):
    for path in storage_dir.iterdir():
        path.unlink()

    assert_problem(bearer.get(url(file)), 404, "not_found")
    assert f"document lost file={file.pk}" in caplog.text


def test_old_versions_stay_downloadable(bearer, file):
    ApplicationFile.objects.update(state="failed")
    Application.objects.update(status="verification_failed")
    address = f"/applications/{file.application_id}/files/{file.pk}/replacement"
    bearer.post(address, {"file": upload()}, format="multipart")

    assert content(bearer.get(url(file))) == PDF_HEAD
