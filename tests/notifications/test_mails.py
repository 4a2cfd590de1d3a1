"""The mail of each occasion: what it says, and that it goes out once."""

from __future__ import annotations

import re
import uuid
from html import unescape

import pytest
from django.core import mail

from applications.models import Application
from notifications import services
from notifications.models import Mail, Occasion
from notifications.occasions import Notice
from outbox.models import Outcome
from tests.factories import ApplicationFactory, ApplicationFileFactory
from tests.notifications.rows import bodies, payload_of, publish, sent
from tests.working import work_off

pytestmark = pytest.mark.django_db

STATUS_PAGE = "/applications/{}/status"
PAY_PAGE = "/payments/checkout/{}"
# Subject, text without greeting and signature, label and target of the button.
LETTERS = {
    Occasion.RECEIVED: (
        "We received your application",
        """\
We have received your application and are checking your documents now. You don't have to do \
anything at the moment.

We will write to you when there is something for you to do. The fee for your application is \
50.00 USD; we will tell you when you can pay it.""",
        "Follow your application",
        STATUS_PAGE,
    ),
    Occasion.ACTION_NEEDED: (
        "Your application: a document needs your attention",
        """\
We have checked your document “bad.pdf” and can't accept it as it is:

- The PDF is damaged.
- It asks for a password.

Please open the status page of your application and replace just this document. Everything else you \
sent us stays as it is.""",
        "Replace the document",
        STATUS_PAGE,
    ),
    Occasion.PAY_NOW: (
        "Your application: please pay the fee",
        """\
The fee for your application is 50.00 USD. It can be paid now.

Your application can be completed only when the fee is paid.""",
        "Pay the fee",
        PAY_PAGE,
    ),
    Occasion.PAYMENT_FAILED: (
        "Your application: the payment was declined",
        """\
Your payment of 50.00 USD for your application was declined. You have not been charged.

Please try again, perhaps with another card. Your bank can tell you why it declined the payment; \
we are not told.""",
        "Try again",
        PAY_PAGE,
    ),
    Occasion.COMPLETED: (
        "Your application is complete",
        """\
Your documents are verified and we have received the fee of 50.00 USD. Your application is complete.

You don't have to do anything else. We will write to you about the decision.""",
        "See your application",
        STATUS_PAGE,
    ),
    Occasion.WITHDRAWN: (
        "Your application is withdrawn",
        "You have withdrawn your application, and we will not process it any further.",
        "See your application",
        STATUS_PAGE,
    ),
    Occasion.REFUNDED: (
        "Your application: we paid your money back",
        """\
We have paid back 1,234.56 EUR to the card or account that you paid with.

It can take some days before your bank shows it.""",
        "See your application",
        STATUS_PAGE,
    ),
}


def words_of(html: str) -> str:
    """The words that an HTML mail shows, each list item with the dash that it has in the text."""
    body = html.partition("<body")[2].partition(">")[2].replace("<li>", " - ")
    return " ".join(unescape(re.sub("<[^>]+>", " ", body)).split())


def notice(application: Application, occasion: Occasion) -> Notice:
    about = {
        Occasion.ACTION_NEEDED: str(application.files.all()[0].pk),
        Occasion.PAYMENT_FAILED: "3",
        Occasion.REFUNDED: "7",
    }
    details = payload_of(application, occasion)
    return Notice(application.pk, occasion, about.get(occasion, ""), details)


@pytest.mark.parametrize("occasion", Occasion)
def test_mail_of_each_occasion_says_the_same_in_text_and_html(application, settings, occasion):
    settings.BASE_URL = "https://sluice.example"
    subject, text, action, page = LETTERS[occasion]

    services.send(notice(application, occasion))

    message = sent()
    assert (message["Subject"], message["To"]) == (subject, "ada@example.com")
    assert message["From"] == settings.DEFAULT_FROM_EMAIL
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    url = "https://sluice.example" + page.format(application.pk)
    end = f"Sluice Admissions\nApplication {application.pk}\n"
    plain, html = bodies(message).values()
    assert plain == f"Dear Ada Lovelace,\n\n{text}\n\n{action}: {url}\n\n{end}"
    assert words_of(html) == " ".join(f"Dear Ada Lovelace, {text} {action} {end}".split())
    assert re.findall('href="(.*?)"', html) == [url]


@pytest.mark.parametrize("occasion", Occasion)
def test_mail_is_recorded_as_it_was_sent(application, occasion):
    publish(application, occasion)

    assert work_off() == [Outcome.SUCCEEDED]

    about = notice(application, occasion).about
    subject = uuid.uuid5(application.pk, about) if about else application.pk
    assert sent()["Message-ID"] == f"<{subject}.{occasion.value}@example.com>"
    (row,) = Mail.objects.all()
    assert (row.application_id, row.occasion, row.about) == (application.pk, occasion, about)
    assert (row.recipient, row.subject) == ("ada@example.com", LETTERS[occasion][0])
    assert row.message_id == sent()["Message-ID"]
    assert (row.state, row.error, row.sent_at is None) == ("sent", "", False)


@pytest.mark.parametrize("occasion", Occasion)
def test_mail_of_an_occasion_goes_out_once(application, occasion):
    publish(application, occasion)
    publish(application, occasion)

    assert work_off() == [Outcome.SUCCEEDED, Outcome.SUCCEEDED]

    assert (len(mail.outbox), Mail.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("occasion", "payloads"),
    [
        (Occasion.PAYMENT_FAILED, [{"checkoutNumber": 1}, {"checkoutNumber": 2}]),
        (
            Occasion.REFUNDED,
            [{"refundId": number, "amount": 100, "currency": "USD"} for number in (1, 2)],
        ),
    ],
)
def test_mails_about_other_payments_go_out_each(application, occasion, payloads):
    for payload in payloads:
        publish(application, occasion, payload)

    assert work_off() == [Outcome.SUCCEEDED, Outcome.SUCCEEDED]

    assert len({message.message()["Message-ID"] for message in mail.outbox}) == 2
    assert Mail.objects.count() == 2


def test_mails_about_two_documents_go_out_each(application):
    other = ApplicationFileFactory.create(application=application, name="too.pdf", state="failed")
    publish(application, Occasion.ACTION_NEEDED)
    publish(application, Occasion.ACTION_NEEDED, {"fileId": str(other.pk)})

    assert work_off() == [Outcome.SUCCEEDED, Outcome.SUCCEEDED]

    named = [re.findall("“(.*?)”", str(message.body)) for message in mail.outbox]
    assert sorted(named) == [["bad.pdf"], ["too.pdf"]]


def test_mail_that_is_sent_again_after_a_crash_has_the_same_message_id(application):
    for _ in range(2):  # sent, and the process died before it could say so
        services.send(notice(application, Occasion.RECEIVED))

    first, second = (message.message()["Message-ID"] for message in mail.outbox)
    assert first == second


def test_mails_of_other_occasions_and_applications_have_other_message_ids(application):
    other = ApplicationFactory.create()
    ids = {
        services.message_id(pk, occasion, about)
        for pk in (application.pk, other.pk)
        for occasion in Occasion
        for about in ("", "1")
    }

    assert len(ids) == 2 * len(Occasion) * 2


def test_mail_about_the_fee_names_it(application):
    Application.objects.update(fee_amount=123456, fee_currency="EUR")
    services.send(notice(application, Occasion.PAY_NOW))

    assert all("is 1,234.56 EUR." in text for text in bodies(sent()).values())


def test_mail_about_a_withdrawal_says_that_a_paid_fee_is_paid_back(application):
    Application.objects.update(payment="paid", status="withdrawn")

    services.send(notice(application, Occasion.WITHDRAWN))

    sentence = "We will pay back the fee of 50.00 USD and write to you when that is done."
    text, html = bodies(sent()).values()
    assert f"process it any further.\n\n{sentence}\n\nSee your application: " in text
    assert f"<p>{sentence}</p>" in html
