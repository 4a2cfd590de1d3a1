"""An application's documents, from the submission to what the student is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from applications import services
from applications.admin import queue
from applications.handlers import SCANNER_RETRY_SECONDS
from applications.models import Application, ApplicationFile
from applications.verification import report
from notifications.models import Mail
from outbox import dead_letters
from outbox.models import Attempt, Outbox, Outcome
from tests.applications.documents import encrypted_pdf, pdf
from tests.applications.submissions import submit, upload
from tests.payments.sandbox_service import API_KEY, SECRET, running_sandbox
from tests.working import work_off

pytestmark = pytest.mark.django_db(transaction=True)

GAVE_UP = {
    "code": "checked",
    "verdict": "needs_review",
    "detail": "We could not check the document by ourselves. A member of our staff looks at it.",
}


def status_of(client, application: Application) -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"/applications/{application.pk}/status").json()
    return body


def verify_only() -> list[Outcome]:
    """Work off the documents; the other rows of the submission are of no interest here."""
    Outbox.objects.filter(event_type="application_submitted").delete()
    return work_off()


def test_good_documents_become_verified(bearer):
    submit(bearer, upload(pdf(pages=2)), upload(pdf(pages=3), "reference.pdf"))

    assert verify_only() == [Outcome.SUCCEEDED] * 2

    body = status_of(bearer, Application.objects.get())
    assert (body["status"], body["progress"], body["nextAction"]) == ("verified", 50, None)
    assert [file["state"] for file in body["documents"]] == ["verified", "verified"]
    assert [(entry["event"], entry["detail"]) for entry in body["timeline"]] == [
        ("submitted", None),
        ("verification_started", None),
        ("document_verified", "transcript.pdf"),
        ("document_verified", "reference.pdf"),
    ]


def test_a_bad_document_is_told_with_its_reason(bearer, mailoutbox):
    submit(
        bearer,
        upload(pdf()),
        upload(encrypted_pdf(user="secret", owner="owner"), "locked.pdf"),
    )

    verify_only()

    body = status_of(bearer, Application.objects.get())
    assert (body["status"], body["nextAction"]) == ("verification_failed", "replace_document")
    assert [(file["name"], file["state"]) for file in body["documents"]] == [
        ("transcript.pdf", "verified"),
        ("locked.pdf", "failed"),
    ]
    failed = [check for check in body["documents"][1]["checks"] if check["verdict"] == "failed"]
    assert [check["code"] for check in failed] == ["not_encrypted"]
    assert [message.subject for message in mailoutbox] == [
        "Your application: a document needs your attention"
    ]
    assert failed[0]["detail"] in mailoutbox[0].body


def test_verifying_is_seen_while_it_is_done(bearer, monkeypatch):
    submit(bearer, upload(pdf()))
    seen = []
    verify = report.verify

    def look(*args, **kwargs):
        seen.append(status_of(bearer, Application.objects.get()))
        return verify(*args, **kwargs)

    monkeypatch.setattr(report, "verify", look)

    verify_only()

    assert [(body["status"], body["progress"]) for body in seen] == [("verifying", 30)]


def test_a_storage_that_fails_is_an_error_and_not_a_finding(bearer, storage_dir: Path):
    submit(bearer, upload(pdf()))
    (path,) = storage_dir.iterdir()
    hidden = path.rename(storage_dir.parent / "hidden")

    assert verify_only() == [Outcome.FAILED]

    body = status_of(bearer, Application.objects.get())
    assert (body["status"], body["documents"][0]["state"]) == ("verifying", "verifying")
    row = Outbox.objects.get()
    assert (row.state, row.attempt_count) == ("pending", 1)
    assert Attempt.objects.get().error_class == "FileNotFoundError"

    hidden.rename(path)
    Outbox.objects.update(available_at="2020-01-01T00:00:00Z")
    assert work_off() == [Outcome.SUCCEEDED]
    assert status_of(bearer, Application.objects.get())["status"] == "verified"


def test_a_storage_that_goes_on_failing_ends_as_a_dead_letter(bearer, storage_dir: Path):
    submit(bearer, upload(pdf()))
    for path in storage_dir.iterdir():
        path.unlink()

    outcomes = verify_only()
    for _ in range(2):
        Outbox.objects.update(available_at="2020-01-01T00:00:00Z")
        outcomes += work_off()

    row = Outbox.objects.get()
    assert outcomes == [Outcome.FAILED] * 3
    assert (row.state, row.dead_reason, row.attempt_count) == ("dead", "exhausted", 3)
    body = status_of(bearer, Application.objects.get())
    (file,) = body["documents"]
    assert (body["status"], file["state"], file["checks"]) == (
        "verifying",
        "needs_review",
        [GAVE_UP],
    )
    assert file["replaceUrl"] is not None
    assert body["timeline"][-1]["event"] == "document_left_to_staff"
    assert list(queue.to_decide()) == [ApplicationFile.objects.get()]


@pytest.fixture
def dead_letter(bearer, storage_dir: Path) -> Outbox:
    """The row of a document that could not be checked; the next attempt would succeed."""
    submit(bearer, upload(pdf(pages=2)))
    (path,) = storage_dir.iterdir()
    hidden = path.rename(storage_dir.parent / "hidden")
    Outbox.objects.filter(event_type="document_uploaded").update(max_attempts=1)
    assert verify_only() == [Outcome.FAILED]
    hidden.rename(path)
    return Outbox.objects.get()


def retry(row: Outbox, staff: User) -> list[Outcome]:
    dead_letters.retry(row_id=row.pk, user_id=staff.pk, reason="The storage is back.")
    return work_off()


def test_a_dead_letter_that_staff_retry_takes_the_document_from_them(bearer, staff, dead_letter):
    assert retry(dead_letter, staff) == [Outcome.SUCCEEDED]

    file = ApplicationFile.objects.get()
    body = status_of(bearer, Application.objects.get())
    assert (file.state, file.pages, body["status"]) == ("verified", 2, "verified")
    assert [check["code"] for check in file.checks][0] == "not_empty"
    assert [entry["event"] for entry in body["timeline"]] == [
        "submitted",
        "verification_started",
        "document_left_to_staff",
        "document_verified",
    ]


@pytest.mark.parametrize(("accept", "state"), [(True, "verified"), (False, "failed")])
def test_a_decision_of_staff_stands_whatever_a_retry_finds(dead_letter, staff, accept, state):
    file_id = ApplicationFile.objects.get().pk
    with transaction.atomic():
        services.decide_document(file_id=file_id, accept=accept, reason="Seen.", reviewer=staff)
    # A mail to the student is not what this is about.
    Outbox.objects.exclude(pk=dead_letter.pk).delete()

    assert retry(dead_letter, staff) == [Outcome.SUCCEEDED]

    file = ApplicationFile.objects.get()
    assert (file.state, [check["code"] for check in file.checks]) == (state, ["checked", "review"])


def test_a_second_death_leaves_the_document_to_staff_as_it_is(
    dead_letter, staff, storage_dir: Path
):
    version = Application.objects.get().version
    for path in storage_dir.iterdir():
        path.unlink()
    dead_letters.retry(row_id=dead_letter.pk, user_id=staff.pk, reason="Once more.")
    Outbox.objects.update(max_attempts=2)

    assert work_off() == [Outcome.FAILED]

    assert (Outbox.objects.get().state, ApplicationFile.objects.get().checks) == ("dead", [GAVE_UP])
    assert Application.objects.get().version == version


def test_a_scanner_that_is_down_is_waited_for(bearer, settings, tmp_path):
    settings.CLAMD_ADDRESS = str(tmp_path / "nobody.sock")
    submit(bearer, upload(pdf()))

    assert verify_only() == [Outcome.FAILED]

    row, attempt = Outbox.objects.get(), Attempt.objects.get()
    assert (row.state, attempt.error_class) == ("pending", "Unavailable")
    waits = row.available_at - attempt.ended_at
    assert round(waits.total_seconds()) == SCANNER_RETRY_SECONDS


def test_an_application_goes_all_the_way_to_the_payment(bearer, settings, tmp_path, mailoutbox):
    settings.SANDBOX_API_KEY, settings.SANDBOX_WEBHOOK_SECRETS = API_KEY, [SECRET]
    with running_sandbox(tmp_path / "sandbox.sqlite3") as sandbox:
        settings.SANDBOX_URL = sandbox.url
        submit(bearer, upload(pdf()))

        outcomes = work_off()

    assert set(outcomes) == {Outcome.SUCCEEDED}
    body = status_of(bearer, Application.objects.get())
    assert (body["status"], body["progress"], body["nextAction"]) == ("awaiting_payment", 75, "pay")
    assert sorted(Mail.objects.values_list("occasion", flat=True)) == ["pay_now", "received"]
    assert set(Outbox.objects.values_list("state", flat=True)) == {"delivered"}


def test_a_provider_that_is_away_delays_only_the_payment(bearer, settings):
    settings.SANDBOX_URL, settings.SANDBOX_WEBHOOK_SECRETS = "http://127.0.0.1:1", [SECRET]
    submit(bearer, upload(pdf()))

    assert sorted(map(str, work_off())) == ["failed", "succeeded", "succeeded"]

    row = Outbox.objects.get(handler="create_payment")
    assert (row.state, row.attempt_count) == ("pending", 1)
    body = status_of(bearer, Application.objects.get())
    assert (body["status"], body["documents"][0]["state"]) == ("processing_payment", "verified")
