"""An application's documents, from the submission to what the student is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from applications import verification
from applications.models import Application, ApplicationFile
from notifications.models import Mail
from outbox.models import Attempt, Outbox, Outcome
from tests.applications.documents import encrypted_pdf, image, pdf
from tests.applications.submissions import submit, upload
from tests.payments.sandbox_service import API_KEY, SECRET, running_sandbox
from tests.working import work_off

pytestmark = pytest.mark.django_db(transaction=True)


def status_of(client, application: Application) -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"/applications/{application.pk}/status").json()
    return body


def verify_only() -> list[Outcome]:
    """Work off the documents; the other rows of the submission are of no interest here."""
    Outbox.objects.filter(event_type="application_submitted").delete()
    return work_off()


def test_good_documents_become_verified(bearer):
    submit(bearer, upload(pdf(pages=2)), upload(image("PNG"), "photo.png", "image/png"))

    assert verify_only() == [Outcome.SUCCEEDED] * 2

    body = status_of(bearer, Application.objects.get())
    assert (body["status"], body["progress"], body["nextAction"]) == ("verified", 50, None)
    assert [(file["state"], len(file["checks"])) for file in body["documents"]] == [
        ("verified", 3),
        ("verified", 2),
    ]
    assert [(entry["event"], entry["detail"]) for entry in body["timeline"]] == [
        ("submitted", None),
        ("verification_started", None),
        ("document_verified", "transcript.pdf"),
        ("document_verified", "photo.png"),
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
    (check,) = body["documents"][1]["checks"]
    assert (check["code"], check["verdict"]) == ("not_encrypted", "failed")
    assert [message.subject for message in mailoutbox] == [
        "Your application: a document needs your attention"
    ]
    assert "locked.pdf: The PDF is protected with a password." in mailoutbox[0].body


def test_verifying_is_seen_while_it_is_done(bearer, monkeypatch):
    submit(bearer, upload(pdf()))
    seen = []
    verify = verification.verify

    def look(*args, **kwargs):
        seen.append(status_of(bearer, Application.objects.get()))
        return verify(*args, **kwargs)

    monkeypatch.setattr(verification, "verify", look)

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
    assert ApplicationFile.objects.get().state == "verifying"
    assert status_of(bearer, Application.objects.get())["status"] == "verifying"


def test_an_application_goes_all_the_way_to_the_payment(bearer, settings, tmp_path, mailoutbox):
    settings.SANDBOX_API_KEY, settings.SANDBOX_WEBHOOK_SECRET = API_KEY, SECRET
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
    settings.SANDBOX_URL, settings.SANDBOX_WEBHOOK_SECRET = "http://127.0.0.1:1", SECRET
    submit(bearer, upload(pdf()))

    assert sorted(map(str, work_off())) == ["failed", "succeeded", "succeeded"]

    row = Outbox.objects.get(handler="create_payment")
    assert (row.state, row.attempt_count) == ("pending", 1)
    body = status_of(bearer, Application.objects.get())
    assert (body["status"], body["documents"][0]["state"]) == ("processing_payment", "verified")
