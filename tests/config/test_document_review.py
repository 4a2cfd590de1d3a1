"""Documents in the admin: staff look at them, and decide what the checks left to a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext

from applications import services
from applications.models import ApplicationFile, DocumentReview
from outbox.models import Outbox
from tests.config.document_pages import LIST, START, looks, person, picture_url, url
from tests.factories import ApplicationFactory, ApplicationFileFactory

pytestmark = pytest.mark.django_db

TO_DECIDE = f"{LIST}?state=needs_review"
SCANNED = {"code": "malware", "verdict": "passed", "detail": "No malware was found."}


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def names(response: Any) -> list[str]:
    return [file.name for file in response.context["cl"].result_list]


def test_list_shows_what_is_to_decide_oldest_first(client, reviewer):
    for name, minutes in (("young.pdf", 2), ("old.pdf", 1)):
        at = START + timedelta(minutes=minutes)
        ApplicationFileFactory.create(needs_review=True, name=name, created_at=at)
    ApplicationFileFactory.create(needs_review=True, name="replaced.pdf", replaced_at=START)
    ApplicationFileFactory.create(name="fine.pdf", state="verified")
    over = ApplicationFactory.create(status="withdrawn", withdrawn_at=START)
    ApplicationFileFactory.create(needs_review=True, name="over.pdf", application=over)

    assert names(client.get(TO_DECIDE)) == ["old.pdf", "young.pdf"]
    assert names(client.get(f"{LIST}?state=replaced")) == ["replaced.pdf"]
    assert names(client.get(f"{LIST}?state=verified")) == ["fine.pdf"]
    assert names(client.get(LIST)) == [
        "over.pdf",
        "fine.pdf",
        "replaced.pdf",
        "young.pdf",
        "old.pdf",
    ]


def test_list_says_what_the_checks_left_open(client, reviewer, file):
    page = client.get(TO_DECIDE).content.decode()

    assert "We could hardly read it." in page
    assert "Pages: 1." not in page


def test_list_to_decide_makes_the_same_queries_for_any_size(client, reviewer):
    ApplicationFileFactory.create(needs_review=True)
    client.get(TO_DECIDE)  # fills what is cached for the life of the process
    counts = []
    for more in (0, 2):
        ApplicationFileFactory.create_batch(more, needs_review=True)
        with CaptureQueriesContext(connection) as queries:
            assert len(names(client.get(TO_DECIDE))) == 1 + more
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_page_shows_all_that_a_decision_needs(client, reviewer, file):
    page = client.get(url(file)).content.decode()

    for text in (
        f'src="{picture_url(file, 1)}"',
        f'src="{picture_url(file, 2)}"',
        "Transcript of records",
        "needs a person",
        "Legible.</strong> We could hardly read it.",
        "Page count.</strong> Pages: 1.",
        "No text could be read, so “Ada Lovelace” was not looked for.",
        file.application.student.email,
        f'href="/admin/applications/application/{file.application_id}/change/"',
        "the student gets a mail and reads this reason",
        'maxlength="500"',
    ):
        assert text in page
    assert picture_url(file, 3) not in page
    assert page.index("We could hardly read it.") < page.index("Pages: 1.")


@pytest.mark.parametrize(
    ("found", "hint"),
    [
        (True, "“Ada Lovelace” was found in the text."),
        (False, "“Ada Lovelace” was not found in the text: look whose document it is."),
    ],
)
def test_page_says_whether_the_name_was_found(client, reviewer, file, found, hint):
    ApplicationFile.objects.update(name_found=found)

    assert hint in client.get(url(file)).content.decode()


def test_page_escapes_what_the_student_sent(client, reviewer, file):
    ApplicationFile.objects.update(name="<script>alert(1)", text="<script>alert(2)")

    page = client.get(url(file)).content.decode()

    assert "<script>alert(" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;script&gt;alert(2)" in page


def test_page_leads_to_the_other_versions(client, reviewer, file):
    place = {"application": file.application, "position": file.position}
    newer = ApplicationFileFactory.create(**place, version=7, name="newer.pdf", replaced_at=START)
    other = ApplicationFileFactory.create(application=file.application, name="other.pdf")

    page = client.get(url(file)).content.decode()

    assert f'href="{url(newer)}"' in page
    assert url(other) not in page


@pytest.mark.parametrize(
    ("verb", "state", "decision", "message"),
    [
        ("accept", "verified", "accepted", "You accepted “transcript.pdf”."),
        ("reject", "failed", "rejected", "You rejected “transcript.pdf”."),
    ],
)
def test_a_decision_is_taken_with_its_reason(
    client, reviewer, file, verb, state, decision, message
):
    response = client.post(url(file), {"decision": verb, "reason": " The stamp is missing. "})

    assert (response.status_code, response["Location"]) == (302, TO_DECIDE)
    assert said(response) == [message, "No more documents wait for a decision."]
    file.refresh_from_db()
    assert file.state == state
    (review,) = DocumentReview.objects.values("file", "decision", "reason", "reviewer")
    assert review == {
        "file": file.pk,
        "decision": decision,
        "reason": "The stamp is missing.",
        "reviewer": reviewer.pk,
    }


def test_a_rejection_is_what_the_student_reads(client, reviewer, file):
    client.post(url(file), {"decision": "reject", "reason": "The stamp is missing."})

    file.refresh_from_db()
    assert file.checks[-1] == {
        "code": "review",
        "verdict": "failed",
        "detail": "The stamp is missing.",
    }
    rejected = Outbox.objects.filter(event_type="document_rejected").values_list("payload")
    assert list(rejected) == [({"fileId": str(file.pk)},)]


def test_after_a_decision_comes_the_next_document(client, reviewer, file):
    earlier, later, last = (
        ApplicationFileFactory.create(needs_review=True, created_at=START + timedelta(hours=hours))
        for hours in (-1, 1, 2)
    )
    following = []
    for current in (file, later, last, earlier):
        answer = client.post(url(current), {"decision": "accept", "reason": "fine"})
        following.append(answer["Location"])

    assert following == [url(later), url(last), url(earlier), TO_DECIDE]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({}, ["decision", "reason"]),
        ({"decision": "accept", "reason": "  "}, ["reason"]),
        ({"decision": "reject", "reason": ""}, ["reason"]),
        ({"decision": "reject", "reason": "x" * 501}, ["reason"]),
        ({"decision": "reject", "reason": "a\x00b"}, ["reason"]),
        ({"decision": "postpone", "reason": "fine"}, ["decision"]),
        ({"reason": "fine"}, ["decision"]),
    ],
)
def test_nothing_is_decided_without_a_verdict_and_a_reason(client, reviewer, file, data, wrong):
    response = client.post(url(file), data)

    assert (response.status_code, sorted(response.context["form"].errors)) == (200, wrong)
    file.refresh_from_db()
    assert (file.state, DocumentReview.objects.count()) == ("needs_review", 0)


def test_the_second_of_two_decisions_changes_nothing_and_is_told_why(client, reviewer, file):
    colleague = person()
    shown = client.get(url(file))
    services.decide_document(file_id=file.pk, accept=True, reason="fine", reviewer=colleague)

    response = client.post(url(file), {"decision": "reject", "reason": "The stamp is missing."})

    assert shown.context["form"] is not None
    assert (response.status_code, response["Location"]) == (302, url(file))
    assert said(response) == [
        f"Your decision changed nothing. {colleague.email} has accepted “transcript.pdf”."
    ]
    file.refresh_from_db()
    assert file.state == "verified"
    assert DocumentReview.objects.get().reviewer == colleague


@pytest.mark.parametrize(
    ("of_file", "of_application", "sentence"),
    [
        ({"replaced_at": START}, {}, "The student has replaced “transcript.pdf”."),
        ({}, {"status": "withdrawn"}, "The application of “transcript.pdf” has ended."),
        ({"state": "verified"}, {}, "The checks alone have decided about “transcript.pdf”."),
        ({"state": "failed"}, {}, "The checks alone have decided about “transcript.pdf”."),
        ({"state": "waiting"}, {}, "“transcript.pdf” has not been checked yet."),
    ],
)
def test_what_waits_for_no_decision_gets_none(
    client, reviewer, file, of_file, of_application, sentence
):
    for field, value in of_file.items():
        setattr(file, field, value)
    file.save()
    for field, value in of_application.items():
        setattr(file.application, field, value)
    file.application.save()

    page = client.get(url(file))
    response = client.post(url(file), {"decision": "accept", "reason": "fine"})

    assert page.context["form"] is None
    assert sentence in page.content.decode()
    assert said(response) == [f"Your decision changed nothing. {sentence}"]
    assert DocumentReview.objects.count() == 0


def test_page_shows_the_decision_afterwards(client, reviewer, file):
    services.decide_document(
        file_id=file.pk, accept=False, reason="The stamp is missing.", reviewer=reviewer
    )

    page = client.get(url(file)).content.decode()

    assert f"{reviewer.email} has rejected “transcript.pdf”." in page
    assert "“The stamp is missing.”" in page
    assert 'name="decision"' not in page


def test_who_may_only_look_sees_the_page_and_decides_nothing(client, file):
    client.force_login(person("view"))

    page = client.get(url(file)).content.decode()
    response = client.post(url(file), {"decision": "accept", "reason": "mine"})

    assert "It waits for a colleague who may decide about documents." in page
    assert 'name="decision"' not in page
    assert response.status_code == 403
    file.refresh_from_db()
    assert (file.state, DocumentReview.objects.count()) == ("needs_review", 0)


def test_who_may_not_look_is_refused_everywhere(client, file):
    client.force_login(person("review", "download"))

    assert client.get(LIST).status_code == 403
    assert client.get(url(file)).status_code == 403
    assert client.get(picture_url(file)).status_code == 403
    assert client.post(url(file), {"decision": "accept", "reason": "mine"}).status_code == 403
    assert (DocumentReview.objects.count(), looks()) == (0, [])


@pytest.mark.parametrize("signed_in", [True, False])
def test_students_and_strangers_are_sent_to_sign_in(client, file, signed_in):
    if signed_in:
        client.force_login(file.application.student)

    for address in (LIST, url(file), picture_url(file)):
        assert client.get(address)["Location"].startswith("/admin/login/")
    answer = client.post(url(file), {"decision": "accept", "reason": "mine"})
    assert answer["Location"].startswith("/admin/login/")
    assert (DocumentReview.objects.count(), looks()) == (0, [])


@pytest.mark.parametrize(
    "address",
    [
        f"{LIST}5b0c1c1e-7c0f-4a53-9d0e-0b8d2b8e6f5a/change/",
        f"{LIST}5b0c1c1e-7c0f-4a53-9d0e-0b8d2b8e6f5a/page/1/",
        f"{LIST}abc/change/",
    ],
)
def test_an_unknown_document_is_not_there(client, reviewer, address):
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    ("permissions", "checks", "offered"),
    [
        (["view", "download"], [SCANNED], True),
        (["view", "download"], [], False),
        (["view", "review"], [SCANNED], False),
    ],
)
def test_download_is_offered_to_who_may_once_it_was_scanned(
    client, file, permissions, checks, offered
):
    ApplicationFile.objects.update(checks=checks)
    client.force_login(person(*permissions))

    page = client.get(url(file)).content.decode()

    address = f"/applications/{file.application_id}/files/{file.pk}/content"
    assert (f'href="{address}"' in page) is offered
