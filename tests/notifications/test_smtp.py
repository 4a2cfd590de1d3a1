"""A mail on its way to a real SMTP server, and what the server's replies mean for its row."""

from __future__ import annotations

import pytest
from django.core.mail import get_connection

from notifications import services
from notifications.errors import MailPutOff, MailRefused, MailServerUnavailable
from notifications.models import Mail, Occasion
from notifications.occasions import Notice
from outbox.models import Outcome, QueueControl
from runtime.ports import free_port
from tests.factories import ApplicationFactory, UserFactory
from tests.notifications.rows import attempt, publish
from tests.notifications.smtp_servers import (
    Mailbox,
    Refusing,
    refuse_sign_in,
    smtp_server,
    use_smtp,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def notice() -> Notice:
    return Notice(ApplicationFactory.create().pk, Occasion.RECEIVED)


def test_mail_reaches_the_server_as_it_was_composed(mailbox):
    student = UserFactory.create(name="Zoë Ünal", email="zoe@example.com")
    application = ApplicationFactory.create(student=student)

    services.send(Notice(application.pk, Occasion.PAY_NOW))

    (message,) = mailbox.messages
    assert message["X-MailFrom"] == "admissions@example.com"
    assert message["From"] == "Sluice Admissions <admissions@example.com>"
    assert message["To"] == "zoe@example.com"
    assert message["Subject"] == "Your application: please pay the fee"
    assert message["Message-ID"] == f"<{application.pk}.pay_now@example.com>"
    text = message.get_body(("plain",))
    html = message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().startswith("Dear Zoë Ünal,\n")
    assert "<p>The fee for your application is 50.00 USD." in html.get_content()


def test_mail_has_one_recipient_so_that_no_refusal_can_be_a_part_of_one(mailbox, notice):
    services.send(notice)

    (message,) = mailbox.messages
    assert message["X-RcptTo"] == message["To"]


@pytest.mark.parametrize(
    ("step", "reply", "error"),
    [
        ("RCPT", "451 Try again later", MailPutOff),
        ("DATA", "452 No room", MailPutOff),
        ("MAIL", "553 We do not know you", MailRefused),
        ("RCPT", "550 No such mailbox", MailRefused),
        ("DATA", "554 This looks like spam", MailRefused),
        ("MAIL", "421 We close", MailServerUnavailable),
        ("RCPT", "421 We close", MailServerUnavailable),
        ("DATA", "421 We close", MailServerUnavailable),
        ("MAIL", "530 Sign in first", MailServerUnavailable),
    ],
)
def test_reply_of_the_server_is_classed(settings, notice, step, reply, error):
    with smtp_server(Refusing(step, reply), settings), pytest.raises(error) as caught:
        services.send(notice)

    assert str(caught.value) == reply


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize(
    ("user", "reply"),
    [
        ("sluice", "535 5.7.8 Authentication credentials invalid"),
        ("", "530 5.7.0 Authentication required"),
    ],
)
def test_server_that_does_not_let_us_sign_in_is_unavailable(settings, notice, user, reply):
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = user
    options = {
        "auth_required": True,
        "auth_require_tls": False,
        "authenticator": refuse_sign_in,
    }

    with (
        smtp_server(Mailbox(), settings, **options),
        pytest.raises(MailServerUnavailable) as caught,
    ):
        services.send(notice)

    assert str(caught.value) == reply


def test_server_that_does_not_offer_to_sign_in_is_unavailable(settings, mailbox, notice):
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = "sluice"

    with pytest.raises(MailServerUnavailable, match="not supported by server"):
        services.send(notice)


def test_server_that_is_away_is_unavailable(settings, notice):
    use_smtp(settings, port=free_port())

    with pytest.raises(MailServerUnavailable, match="Connection refused"):
        services.send(notice)
    assert get_connection().timeout == 5


def test_mail_that_is_put_off_is_tried_again(settings, application):
    row = publish(application, Occasion.RECEIVED)

    with smtp_server(Refusing("RCPT", "451 Try again later"), settings):
        outcome = attempt(row)

    assert (outcome, row.state, row.attempt_count) == (Outcome.FAILED, "pending", 1)
    assert (Mail.objects.count(), QueueControl.objects.count()) == (0, 0)


def test_mail_that_is_refused_is_a_dead_letter_at_once_and_marked_for_staff(settings, application):
    row = publish(application, Occasion.RECEIVED)

    with smtp_server(Refusing("RCPT", "550 No such mailbox"), settings):
        outcome = attempt(row)

    assert (outcome, row.state, row.dead_reason) == (Outcome.FAILED, "dead", "permanent")
    (mail,) = Mail.objects.all()
    assert (mail.state, mail.error, mail.sent_at) == ("not_sent", "550 No such mailbox", None)
    assert (mail.recipient, mail.subject) == ("ada@example.com", "We received your application")
    assert QueueControl.objects.count() == 0


def test_server_that_serves_nobody_counts_for_the_breaker(settings, application):
    row = publish(application, Occasion.RECEIVED)

    with smtp_server(Refusing("MAIL", "421 We close"), settings):
        outcome = attempt(row)

    assert (outcome, row.state) == (Outcome.FAILED, "pending")
    (control,) = QueueControl.objects.values_list("name", "failures", "cause")
    assert control == ("send_email", 1, "421 We close")
