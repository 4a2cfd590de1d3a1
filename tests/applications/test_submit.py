from __future__ import annotations

import hashlib

import pytest

from applications.models import Application, ApplicationEvent, IdempotencyKey
from outbox.models import Outbox
from tests.applications.documents import JPEG_HEAD, PDF_HEAD, PNG_HEAD
from tests.applications.submissions import STATEMENT, codes, stored_files, submit, upload

pytestmark = pytest.mark.django_db


def test_submit_answers_as_the_contract_says(bearer):
    response = submit(bearer, upload(), key="first")

    application = Application.objects.get()
    assert response.status_code == 202
    assert response["Content-Type"] == "application/json"
    assert response.json() == {
        "applicationId": str(application.id),
        "status": "submitted",
        "progress": 25,
        "statusUrl": f"/applications/{application.id}/status",
        "payUrl": f"/payments/checkout/{application.id}",
    }
    assert response["Location"] == f"/applications/{application.id}/status"
    assert response["Retry-After"] == "2"
    assert "Idempotency-Replayed" not in response


def test_submit_stores_the_application(bearer, student):
    submit(bearer, upload())

    (application,) = Application.objects.values(
        "student", "personal_statement", "priority", "documents", "payment", "version"
    )
    assert application == {
        "student": student.pk,
        "personal_statement": STATEMENT,
        "priority": 2,
        "documents": "waiting",
        "payment": "none",
        "version": 1,
    }
    events = ApplicationEvent.objects.values_list("event", "detail")
    assert list(events) == [("submitted", "")]
    assert IdempotencyKey.objects.count() == 0


def test_submit_stores_the_files_in_order(bearer, storage_dir):
    contents = [PDF_HEAD + b"1" * 100_000, JPEG_HEAD + b"2", PNG_HEAD + b"3"]

    submit(
        bearer,
        upload(contents[0], "one.pdf"),
        upload(contents[1], "two.jpeg", "image/jpeg"),
        upload(contents[2], "three.PNG", "image/png"),
    )

    files = list(Application.objects.get().files.all())
    assert [(f.position, f.name, f.content_type, f.size, f.sha256, f.state) for f in files] == [
        (0, "one.pdf", "application/pdf", 100_009, _sha256(contents[0]), "waiting"),
        (1, "two.jpeg", "image/jpeg", 5, _sha256(contents[1]), "waiting"),
        (2, "three.PNG", "image/png", 9, _sha256(contents[2]), "waiting"),
    ]
    assert [(storage_dir / file.storage_name).read_bytes() for file in files] == contents
    assert stored_files(storage_dir) == sorted(contents)


def test_submit_publishes_the_work_of_the_application(bearer):
    submit(bearer, upload(), upload(), headers={"X-Request-ID": "request-7"})

    application = Application.objects.get()
    first, second = application.files.all()
    rows = Outbox.objects.values_list("event_type", "handler", "queue", "payload")
    # Which handler of an event comes first does not matter.
    assert sorted(rows, key=str) == [
        ("application_submitted", "create_payment", "create_payment", {}),
        ("application_submitted", "send_received_mail", "send_email", {}),
        *sorted(
            (
                ("document_uploaded", "verify_document", "verify_document", {"fileId": str(file)})
                for file in (first.id, second.id)
            ),
            key=str,
        ),
    ]
    assert set(
        Outbox.objects.values_list(
            "aggregate_id", "priority", "request_id", "state", "attempt_count"
        )
    ) == {(application.id, 2, "request-7", "pending", 0)}


def test_submit_without_files_has_nothing_to_verify(bearer, storage_dir):
    response = submit(bearer)

    assert (response.status_code, response.json()["status"]) == (202, "verified")
    assert response.json()["progress"] == 50
    assert Application.objects.get().documents == "verified"
    assert set(Outbox.objects.values_list("event_type", flat=True)) == {"application_submitted"}
    assert stored_files(storage_dir) == []


def test_submit_twice_without_a_key_makes_two_applications(bearer):
    first, second = submit(bearer, upload()), submit(bearer, upload())

    assert first.json()["applicationId"] != second.json()["applicationId"]
    assert Application.objects.count() == 2


@pytest.mark.parametrize("priority", [0, 1, 2, 3])
def test_submit_by_staff_sets_the_priority_of_all_work(staff_bearer, priority):
    response = submit(staff_bearer, upload(), priority=str(priority))

    assert response.status_code == 202
    assert Application.objects.get().priority == priority
    assert set(Outbox.objects.values_list("priority", flat=True)) == {priority}


@pytest.mark.parametrize("priority", ["4", "-1", "high", "1.0", " 1", "٢", "\x00"])
def test_submit_by_staff_with_an_unknown_priority_is_refused(staff_bearer, priority):
    response = submit(staff_bearer, priority=priority)

    assert (response.status_code, codes(response)) == (400, {"priority": "invalid"})
    assert Application.objects.count() == 0


def test_submit_keeps_the_statement_as_it_was_written(bearer):
    statement = "  Zeile 1\r\nZeile 2 – “quoted” 🎓 <b>&amp;</b>\n"

    submit(bearer, statement=statement)

    assert Application.objects.get().personal_statement == statement


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
