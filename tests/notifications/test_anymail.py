"""A mail through the API of a provider, and what its answers mean for the mail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anymail.exceptions import AnymailRequestsAPIError

from notifications import services
from notifications.errors import MailRefused, MailServerUnavailable
from notifications.models import Mail, Occasion
from notifications.occasions import Notice
from outbox.models import Outcome
from runtime.ports import free_port
from tests.notifications.postmark import Postmark, running_postmark
from tests.notifications.rows import publish
from tests.working import work_off

pytestmark = pytest.mark.django_db


def use_postmark(settings, url: str) -> None:
    settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "secret", "POSTMARK_API_URL": url}


@pytest.fixture
def postmark(settings) -> Iterator[Postmark]:
    with running_postmark() as postmark:
        use_postmark(settings, postmark.url)
        yield postmark


@pytest.fixture
def notice(application) -> Notice:
    return Notice(application.pk, Occasion.RECEIVED)


def test_mail_reaches_the_provider_with_its_message_id(postmark, application):
    publish(application, Occasion.RECEIVED)

    assert work_off() == [Outcome.SUCCEEDED]

    assert (postmark.paths, postmark.tokens) == (["/email"], ["secret"])
    (mail,) = postmark.mails
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "Sluice Admissions <admissions@example.com>",
        "ada@example.com",
        "We received your application",
    )
    assert mail["TextBody"].startswith("Dear Ada Lovelace,\n\nWe have received")
    assert mail["HtmlBody"].startswith("<!doctype html>\n")
    (row,) = Mail.objects.all()
    assert {header["Name"]: header["Value"] for header in mail["Headers"]} == {
        "Message-ID": row.message_id,
        "Auto-Submitted": "auto-generated",
        "X-PM-KeepID": "true",
    }


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, 10, MailServerUnavailable),
        (403, 10, MailServerUnavailable),
        (429, 429, MailServerUnavailable),
        (500, 500, MailServerUnavailable),
        (503, 100, MailServerUnavailable),
        (400, 402, MailRefused),
        (413, 402, MailRefused),
        (422, 400, MailRefused),
    ],
)
def test_answer_of_the_provider_is_classed(postmark, notice, status, code, error):
    postmark.status, postmark.answer = status, {"ErrorCode": code, "Message": "No, because."}

    with pytest.raises(error, match="No, because"):
        services.send(notice)


def test_recipient_that_the_provider_refuses_is_refused(postmark, notice):
    message = "Found inactive addresses: ada@example.com. Inactive recipients are ones that"
    postmark.status, postmark.answer = 422, {"ErrorCode": 406, "Message": message}

    with pytest.raises(MailRefused, match="All message recipients were rejected"):
        services.send(notice)


@pytest.mark.parametrize(("value", "seconds"), [("30", 30.0), ("Fri, 01 Jan 2027", 0.0), ("", 0.0)])
def test_provider_says_how_long_to_wait(postmark, notice, value, seconds):
    postmark.status, postmark.headers = 429, {"Retry-After": value}

    with pytest.raises(MailServerUnavailable) as caught:
        services.send(notice)

    assert caught.value.retry_after_seconds == seconds


def test_answer_that_makes_no_sense_says_nothing_about_a_retry(postmark, notice):
    postmark.answer = {"ErrorCode": 0}

    with pytest.raises(AnymailRequestsAPIError, match="Invalid Postmark API response"):
        services.send(notice)


def test_provider_that_is_away_is_unavailable(settings, notice):
    use_postmark(settings, f"http://127.0.0.1:{free_port()}/")

    with pytest.raises(MailServerUnavailable, match="Connection refused"):
        services.send(notice)
