from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from applications.models import Application, ApplicationEvent
from config.trace import trace_of
from notifications.models import Mail
from outbox.models import Action, Attempt, StaffAction
from payments.models import Payment, ProviderEvent
from tests.applications.conftest import client_of
from tests.applications.documents import encrypted_pdf
from tests.applications.submissions import submit, upload
from tests.factories import (
    ApplicationFactory,
    ApplicationFileFactory,
    AttemptFactory,
    ChargeFactory,
    DocumentAccessFactory,
    DocumentReviewFactory,
    MailFactory,
    OutboxFactory,
    PaymentFactory,
    ProviderEventFactory,
    RefundFactory,
    StaffFactory,
    UserFactory,
)
from tests.outbox.rows import leased_row
from tests.working import work_off

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


def url(application: Application) -> str:
    return f"/admin/applications/application/{application.pk}/trace/"


@pytest.fixture
def application(staff: User) -> Application:
    """An application with one thing of every kind, written in another order than it happened."""
    application = ApplicationFactory.create(created_at=minute(0))
    Mail.objects.create(
        application=application,
        occasion="pay_now",
        recipient="ada@example.com",
        subject="please pay",
        message_id="<1@x>",
        sent_at=minute(6),
    )
    payment = PaymentFactory.create(application=application)
    ProviderEvent.objects.create(
        provider="sandbox",
        event_id="evt_1",
        type="paid",
        payload={},
        payment=payment,
        outcome="mismatch",
        received_at=minute(5),
    )
    row = OutboxFactory.create(
        aggregate_id=application.pk, created_at=minute(1), request_id="request-7"
    )
    StaffAction.objects.create(
        outbox=row, action=Action.RETRY, user=staff, reason="provider is back", at=minute(4)
    )
    for number in (2, 1):
        AttemptFactory.create(
            outbox=row,
            number=number,
            worker="host:1",
            outcome="failed",
            started_at=minute(1 + number),
            ended_at=minute(1 + number) + timedelta(seconds=1.5),
            error_class="ProviderError",
            error_message="away",
            traceback="Traceback <b>…</b>",
        )
    ApplicationEvent.objects.create(application=application, event="submitted", at=minute(0))
    other = ApplicationFactory.create()
    ApplicationEvent.objects.create(application=other, event="completed", at=minute(3))
    OutboxFactory.create(aggregate_id=other.pk)
    return application


def test_trace_has_everything_in_order(application):
    entries = trace_of(application)

    row_id = application_row_id(application)
    assert [(entry.at, entry.source, entry.failed) for entry in entries] == [
        (minute(0), "student", False),
        (minute(1), "outbox", False),
        (minute(2), "worker", True),
        (minute(3), "worker", True),
        (minute(4), "staff", False),
        (minute(5), "payment provider", True),
        (minute(6), "mail", False),
    ]
    assert f"#{row_id}" in entries[1].title
    assert "request-7" in entries[1].detail
    assert entries[1].waits == "No live worker on this queue"
    assert entries[2].seconds == 1.5
    assert "ProviderError: away" in entries[2].detail
    assert "provider is back" in entries[4].detail


def application_row_id(application: Application) -> int:
    return int(Attempt.objects.filter(outbox__aggregate_id=application.pk)[0].outbox_id)


def test_trace_page_shows_it_to_staff(client: Client, staff, application):
    client.force_login(staff)

    page = client.get(url(application)).content.decode()

    positions = [
        page.index(text)
        for text in ("We received your application", "request-7", "provider is back", "please pay")
    ]
    assert positions == sorted(positions)
    assert "Traceback &lt;b&gt;" in page
    assert "Traceback <b>" not in page


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        ([], 403),
        (["view_application"], 403),
        (["view_outbox"], 403),
        (["view_application", "view_outbox"], 200),
    ],
)
def test_trace_page_needs_the_permissions(client: Client, application, permissions, status):
    user = StaffFactory.create(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)

    assert client.get(url(application)).status_code == status


@pytest.mark.parametrize("signed_in", [True, False])
def test_trace_page_is_not_for_students(client: Client, application, signed_in):
    if signed_in:
        client.force_login(UserFactory.create())

    response = client.get(url(application))

    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_trace_page_of_an_unknown_application_is_not_there(client: Client, staff):
    client.force_login(staff)

    path = f"/admin/applications/application/{uuid.uuid4()}/trace/"
    assert client.get(path).status_code == 404


def test_trace_shows_the_attempt_that_runs():
    application = ApplicationFactory.create()
    row, _ = leased_row(aggregate_id=application.pk, attempt_count=1)

    entries = trace_of(application)

    row.refresh_from_db()
    running = (row.started_at, f"attempt 2 of work #{row.pk}: running", row.worker, False)
    assert [(e.at, e.title, e.detail, e.failed) for e in entries[1:]] == [running]


def of_kind(application: Application, source: str) -> list[tuple[Any, ...]]:
    """Return (at, title, detail, failed) of the entries from this source."""
    entries = [entry for entry in trace_of(application) if entry.source == source]
    return [(entry.at, entry.title, entry.detail, entry.failed) for entry in entries]


@pytest.fixture
def payment() -> Payment:
    return PaymentFactory.create(paid=True)


def test_trace_has_what_staff_did_with_documents():
    ada = StaffFactory.create(email="ada@example.com")
    file = ApplicationFileFactory.create(version=2)
    DocumentReviewFactory.create(
        file=file, reviewer=ada, decision="rejected", reason="No stamp.", at=minute(3)
    )
    DocumentAccessFactory.create(file=file, user=ada, at=minute(2))
    DocumentAccessFactory.create(file=file, user=ada, kind="downloaded", at=minute(1))
    DocumentAccessFactory.create()  # of another application

    name = "document transcript.pdf, version 2"
    assert of_kind(file.application, "staff") == [
        (minute(1), f"{name}: downloaded", "ada@example.com", False),
        (minute(2), f"{name}: viewed", "ada@example.com", False),
        (minute(3), f"{name}: rejected", "ada@example.com: No stamp.", False),
    ]


def test_trace_has_what_was_captured_and_paid_back(payment):
    fee = ChargeFactory.create(payment=payment, provider_reference="first", captured_at=minute(1))
    ChargeFactory.create(
        payment=payment, is_surplus=True, provider_reference="second", captured_at=minute(2)
    )
    failed = RefundFactory.create(
        charge=fee,
        state="failed",
        reason="moved away",
        provider_reference="re_1",
        created_at=minute(3),
        settled_at=minute(5),
    )
    waiting = RefundFactory.create(charge=fee, amount=700, reason="again", created_at=minute(4))
    RefundFactory.create()  # of another application

    assert of_kind(payment.application, "payment") == [
        (minute(1), "captured: 50.00 USD", "first", False),
        (minute(2), "captured a second time: 50.00 USD", "second", True),
        (minute(3), f"refund #{failed.pk} of 50.00 USD: requested", "moved away", False),
        (minute(4), f"refund #{waiting.pk} of 7.00 USD: requested", "again", False),
        (minute(5), f"refund #{failed.pk} of 50.00 USD: failed", "re_1", True),
    ]


def test_trace_says_who_had_money_paid_back(client: Client, payment):
    ada = StaffFactory.create(email="ada@example.com")
    client.force_login(ada)
    ChargeFactory.create(payment=payment)
    client.post(f"/admin/payments/payment/{payment.pk}/refund/", {"reason": "moved away"})

    asked = [(title, detail) for _, title, detail, _ in of_kind(payment.application, "staff")]
    assert asked == [("Asked to pay back 50.00 USD: moved away", "ada@example.com")]


def test_trace_says_who_settled_an_event(payment):
    ada = StaffFactory.create(email="ada@example.com")
    ProviderEventFactory.create(
        payment=payment,
        event_id="evt",
        outcome="settled",
        settled_by=ada,
        settled_reason="paid back by hand",
        received_at=minute(1),
    )

    told = (
        minute(1),
        "paid: settled by staff",
        "evt · ada@example.com: paid back by hand",
        False,
    )
    assert of_kind(payment.application, "payment provider") == [told]


def test_trace_ends_with_mails_that_could_not_be_sent(client: Client, staff):
    mail = MailFactory.create(withheld=True)
    MailFactory.create(application=mail.application, occasion="pay_now", sent_at=minute(1))
    client.force_login(staff)

    subject = "We received your application"
    assert of_kind(mail.application, "mail") == [
        (minute(1), subject, "student@example.com", False),
        (None, f"{subject}: not sent", "student@example.com · 550 No such mailbox", True),
    ]
    assert "550 No such mailbox" in client.get(url(mail.application)).content.decode()


def test_trace_page_leads_to_the_payment(client: Client, staff, payment):
    client.force_login(staff)
    without = ApplicationFactory.create()
    link = ">Payment</a>"

    page = client.get(url(payment.application)).content.decode()
    assert f'href="/admin/payments/payment/{payment.pk}/change/"{link}' in page
    assert link not in client.get(url(without)).content.decode()


@pytest.mark.parametrize("rows", [1, 3])
def test_trace_makes_the_same_queries_for_any_size(rows, django_assert_num_queries):
    payment = PaymentFactory.create(paid=True)
    application = payment.application
    for number in range(rows):
        row = OutboxFactory.create(aggregate_id=application.pk)
        AttemptFactory.create(outbox=row)
        file = ApplicationFileFactory.create(application=application)
        DocumentReviewFactory.create(file=file)
        DocumentAccessFactory.create(file=file)
        ProviderEventFactory.create(payment=payment, settled_by=StaffFactory.create())
        charge = ChargeFactory.create(payment=payment, is_surplus=number > 0)
        RefundFactory.create(charge=charge)

    with django_assert_num_queries(15):
        assert len(trace_of(application)) == 7 * rows


@pytest.mark.django_db(transaction=True)
def test_trace_of_a_real_run_tells_the_story(student, settings):
    settings.SANDBOX_URL = "http://127.0.0.1:1"
    settings.SANDBOX_WEBHOOK_SECRETS = ["whsec_c2VjcmV0"]
    submit(client_of(student), upload(encrypted_pdf(user="secret", owner="owner")))
    work_off()

    entries: list[Any] = trace_of(Application.objects.get())

    assert entries[0].title == "We received your application"
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert {entry.source for entry in entries} == {"student", "outbox", "worker", "mail"}
    (failure,) = [entry for entry in entries if entry.failed]
    assert "create_payment" in failure.title
    assert "Unavailable: The sandbox refuses connections." in failure.body
