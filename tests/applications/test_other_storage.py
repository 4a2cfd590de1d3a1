"""Documents in a storage that is no folder: Django's storage API is all that is used of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.storage import default_storage

from applications.maintenance import sweep_files
from applications.models import ApplicationFile
from outbox.models import Outbox, Outcome
from tests.applications.documents import pdf
from tests.applications.submissions import submit, upload
from tests.working import work_off

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def in_memory(settings) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": memory}


def test_a_document_is_taken_in_verified_and_downloaded(bearer):
    content = pdf()
    assert submit(bearer, upload(content)).status_code == 202
    Outbox.objects.filter(event_type="application_submitted").delete()

    assert work_off() == [Outcome.SUCCEEDED]

    file = ApplicationFile.objects.get()
    assert file.state == "verified"
    ApplicationFile.objects.update(checks=[{"code": "malware", "verdict": "passed", "detail": ""}])
    address = f"/applications/{file.application_id}/files/{file.pk}/content"
    assert b"".join(bearer.get(address).streaming_content) == content


def test_a_refused_submission_leaves_no_file(bearer):
    assert submit(bearer, upload(b"no pdf")).status_code == 400

    assert default_storage.listdir("") == ([], [])


def test_orphans_are_swept(bearer, settings):
    submit(bearer, upload(pdf()))
    with default_storage.open("orphan", "wb") as file:
        file.write(b"left by a process that died")
    settings.ORPHAN_FILE_HOURS = -timedelta(minutes=1) / timedelta(hours=1)

    assert sweep_files() == 1

    kept = ApplicationFile.objects.get().storage_name
    assert default_storage.listdir("") == ([], [kept])
