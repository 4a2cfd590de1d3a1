"""Mails that could not be sent: the mark for staff, and what becomes of it."""

from __future__ import annotations

import smtplib
from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError
from django.db.models.functions import Now

from notifications import services
from notifications.models import ERROR_MAX_LENGTH, Mail, Occasion
from notifications.occasions import Notice
from outbox import dead_letters
from outbox.delivery import claim
from outbox.models import Outbox, Outcome
from outbox.queues import get_queue
from outbox.repair import expire_leases
from tests.factories import MailFactory, OutboxFactory
from tests.notifications.rows import attempt, publish
from tests.notifications.smtp_servers import Refusing, smtp_server
from tests.working import work_off

pytestmark = pytest.mark.django_db


def states() -> list[tuple[str, str, str]]:
    return list(Mail.objects.values_list("occasion", "state", "error"))


def test_mail_whose_attempts_are_used_up_is_marked_with_the_last_error(application, monkeypatch):
    def hang_up(*args: object, **kwargs: object) -> None:
        raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", hang_up)
    row = publish(application, Occasion.RECEIVED)

    assert attempt(row) == Outcome.FAILED
    assert (row.state, row.attempt_count, states()) == ("pending", 1, [])
    assert attempt(row) == Outcome.FAILED
    assert (row.state, row.dead_reason) == ("dead", "exhausted")
    assert states() == [("received", "not_sent", "Connection unexpectedly closed")]


def test_mail_of_a_worker_that_was_lost_is_marked(application):
    row = publish(application, Occasion.RECEIVED)
    Outbox.objects.update(state="queued", queued_at=Now(), max_attempts=1)
    claim(get_queue("send_email"), row.pk)
    Outbox.objects.update(lease_expires_at=Now() - timedelta(seconds=1))

    assert expire_leases() == 1

    error = "The worker did not come back before its lease ended."
    assert states() == [("received", "not_sent", error)]


@pytest.mark.parametrize("occasion", Occasion)
def test_mail_that_staff_retry_becomes_sent(settings, application, staff, occasion):
    row = publish(application, occasion)
    backend = settings.EMAIL_BACKEND
    with smtp_server(Refusing("RCPT", "550 No such mailbox"), settings):
        assert work_off() == [Outcome.FAILED]
    marked = Mail.objects.get()
    assert states() == [(occasion, "not_sent", "550 No such mailbox")]
    settings.EMAIL_BACKEND = backend

    dead_letters.retry(row_id=row.pk, user_id=staff.pk, reason="the address works again")
    assert work_off() == [Outcome.SUCCEEDED]

    assert (states(), len(mail.outbox)) == ([(occasion, "sent", "")], 1)
    sent = Mail.objects.get()
    assert (sent.pk, sent.sent_at is None) == (marked.pk, False)


def test_mail_that_fails_once_more_keeps_the_newest_error(application):
    notice = Notice(application.pk, Occasion.RECEIVED)
    services.withhold(notice, error="first")
    services.withhold(notice, error="second")

    assert states() == [("received", "not_sent", "second")]


def test_mail_that_was_sent_is_never_marked(application):
    MailFactory.create(application=application, occasion="received")

    services.withhold(Notice(application.pk, Occasion.RECEIVED), error="too late")

    assert states() == [("received", "sent", "")]


def test_mark_takes_any_error_as_one_short_line(application):
    notice = Notice(application.pk, Occasion.RECEIVED)
    services.withhold(notice, error="5\n5\t0 " + "x" * 5000)

    (mark,) = Mail.objects.all()
    assert mark.error == ("5 5 0 " + "x" * 5000)[:ERROR_MAX_LENGTH]


def test_mail_without_an_application_is_a_dead_letter_at_once_and_marks_nothing():
    row = OutboxFactory.create(handler="send_received_mail", queue="send_email", max_attempts=2)

    assert work_off() == [Outcome.FAILED]

    row.refresh_from_db()
    assert (row.state, row.dead_reason, states()) == ("dead", "permanent", [])


def test_mail_of_an_application_that_is_gone_marks_nothing(application):
    row = publish(application, Occasion.RECEIVED)
    Outbox.objects.update(max_attempts=1)
    application.delete()

    assert work_off() == [Outcome.FAILED]

    row.refresh_from_db()
    assert (row.state, states()) == ("dead", [])


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "sent", "sent_at": None},
        {"state": "sent", "error": "550 No such mailbox"},
        {"state": "not_sent"},
    ],
)
def test_mail_is_either_sent_at_a_time_or_not_sent(fields):
    with pytest.raises(IntegrityError, match="mail_sent_has_time"):
        MailFactory.create(**fields)
