from __future__ import annotations

import smtplib
from email.message import Message
from typing import Any

import pytest
from django.core import mail

from applications.models import Application
from notifications import services
from notifications.models import Mail, Occasion
from outbox.models import Outbox, Outcome
from tests.factories import (
    ApplicationFactory,
    ApplicationFileFactory,
    OutboxFactory,
    UserFactory,
)
from tests.working import work_off

pytestmark = pytest.mark.django_db

EVENTS = {
    Occasion.RECEIVED: ("application_submitted", "send_received_mail"),
    Occasion.ACTION_NEEDED: ("document_rejected", "send_action_needed_mail"),
    Occasion.PAY_NOW: ("payment_requested", "send_pay_now_mail"),
    Occasion.COMPLETED: ("application_completed", "send_completed_mail"),
}
EXPECTED = [
    (Occasion.RECEIVED, "We received your application", "/applications/{}/status"),
    (
        Occasion.ACTION_NEEDED,
        "Your application: a document needs your attention",
        "/applications/{}/status",
    ),
    (Occasion.PAY_NOW, "Your application: please pay the fee", "/payments/checkout/{}"),
    (Occasion.COMPLETED, "Your application is complete", "/applications/{}/status"),
]
HOSTILE = "<script>alert('x')</script>&.pdf"


@pytest.fixture
def application(db: None) -> Application:
    student = UserFactory.create(name="Ada Lovelace", email="ada@example.com")
    return ApplicationFactory.create(student=student)


def publish(application: Application, occasion: Occasion) -> Outbox:
    event_type, handler = EVENTS[occasion]
    return OutboxFactory.create(
        event_type=event_type,
        handler=handler,
        queue="send_email",
        aggregate_id=application.pk,
        max_attempts=2,
    )


def sent() -> Message:
    """Return the one mail that was sent, as it goes over the wire."""
    (message,) = mail.outbox
    return message.message()


def bodies(message: Message) -> dict[str, str]:
    """Return the texts of a mail by their types."""
    parts: list[Any] = [part for part in message.walk() if not part.is_multipart()]
    return {part.get_content_type(): part.get_payload(decode=True).decode() for part in parts}


@pytest.mark.parametrize(("occasion", "subject", "link"), EXPECTED)
def test_mail_of_each_occasion(application, settings, occasion, subject, link):
    settings.BASE_URL = "https://sluice.example"
    publish(application, occasion)

    assert work_off() == [Outcome.SUCCEEDED]

    message = sent()
    assert (message["Subject"], message["To"]) == (subject, "ada@example.com")
    assert message["From"] == settings.DEFAULT_FROM_EMAIL
    assert message["Message-ID"] == f"<{application.pk}.{occasion.value}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    texts = bodies(message)
    assert list(texts) == ["text/plain", "text/html"]
    url = "https://sluice.example" + link.format(application.pk)
    for text in texts.values():
        assert "Dear Ada Lovelace" in text
        assert url in text
    (row,) = Mail.objects.values("application", "occasion", "recipient", "subject", "message_id")
    assert row == {
        "application": application.pk,
        "occasion": occasion.value,
        "recipient": "ada@example.com",
        "subject": subject,
        "message_id": message["Message-ID"],
    }


@pytest.mark.parametrize("occasion", Occasion)
def test_mail_of_an_occasion_goes_out_once(application, occasion):
    publish(application, occasion)
    publish(application, occasion)

    assert work_off() == [Outcome.SUCCEEDED, Outcome.SUCCEEDED]

    assert (len(mail.outbox), Mail.objects.count()) == (1, 1)


def test_mail_that_is_sent_again_after_a_crash_has_the_same_message_id(application):
    for _ in range(2):  # sent, and the process died before it could say so
        services.send(application_id=application.pk, occasion=Occasion.RECEIVED)

    first, second = (message.message()["Message-ID"] for message in mail.outbox)
    assert first == second


def test_mails_of_other_occasions_and_applications_have_other_message_ids(application):
    other = ApplicationFactory.create()
    ids = {
        services.message_id(pk, occasion)
        for pk in (application.pk, other.pk)
        for occasion in Occasion
    }

    assert len(ids) == 2 * len(Occasion)


def test_mail_about_the_fee_names_it(application):
    Application.objects.update(fee_amount=123456, fee_currency="EUR")
    services.send(application_id=application.pk, occasion=Occasion.PAY_NOW)

    assert all("1,234.56 EUR" in text for text in bodies(sent()).values())


def test_mail_about_a_document_names_it_and_the_reason(application):
    failed = {"code": "readable", "verdict": "failed", "detail": "The PDF is damaged."}
    passed = {"code": "not_encrypted", "verdict": "passed", "detail": "It opens."}
    ApplicationFileFactory.create(
        application=application, name="bad.pdf", state="failed", checks=[passed, failed]
    )
    ApplicationFileFactory.create(application=application, name="good.pdf", state="verified")

    services.send(application_id=application.pk, occasion=Occasion.ACTION_NEEDED)

    texts = bodies(sent())
    assert "- bad.pdf: The PDF is damaged.\n" in texts["text/plain"]
    assert "<li>bad.pdf: The PDF is damaged.</li>" in texts["text/html"]
    for text in texts.values():
        assert "good.pdf" not in text
        assert "It opens." not in text


def test_mail_shows_hostile_names_as_text(application):
    application.student.name = "<img src=x onerror=alert(1)>"
    application.student.save()
    ApplicationFileFactory.create(application=application, name=HOSTILE, state="failed")

    services.send(application_id=application.pk, occasion=Occasion.ACTION_NEEDED)

    texts = bodies(sent())
    assert HOSTILE in texts["text/plain"]
    assert "<script>" not in texts["text/html"]
    assert "<img" not in texts["text/html"]
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;.pdf" in texts["text/html"]
    assert "Dear &lt;img src=x onerror=alert(1)&gt;," in texts["text/html"]


def test_mail_headers_cannot_be_injected_by_a_name(application):
    evil = "Ada\r\nBcc: victim@example.com\r\n\r\nhello"
    application.student.name = evil
    application.student.save()

    services.send(application_id=application.pk, occasion=Occasion.RECEIVED)

    message = sent()
    assert (message["Bcc"], message["To"]) == (None, "ada@example.com")
    assert mail.outbox[0].recipients() == ["ada@example.com"]
    header = message.as_bytes().partition(b"\n\n")[0]
    assert b"victim" not in header


def test_mail_that_the_server_refuses_is_tried_again_and_then_a_dead_letter(
    application, monkeypatch
):
    def refuse(*args: object, **kwargs: object) -> None:
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    row = publish(application, Occasion.RECEIVED)

    assert work_off() == [Outcome.FAILED]
    row.refresh_from_db()
    assert (row.state, row.attempt_count) == ("pending", 1)
    Outbox.objects.update(available_at="2020-01-01T00:00:00Z")
    assert work_off() == [Outcome.FAILED]
    row.refresh_from_db()
    assert (row.state, row.dead_reason) == ("dead", "exhausted")
    assert Mail.objects.count() == 0


def test_mail_without_an_application_is_a_dead_letter_at_once(db):
    row = OutboxFactory.create(handler="send_received_mail", queue="send_email", max_attempts=2)

    assert work_off() == [Outcome.FAILED]
    row.refresh_from_db()
    assert (row.state, row.dead_reason) == ("dead", "permanent")
