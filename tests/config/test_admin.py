"""The pages of the admin: what they show, to whom, and with how many queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from notifications.models import Mail
from outbox.models import QueueControl
from payments.models import ProviderEvent
from tests.factories import (
    ApplicationFactory,
    ApplicationFileFactory,
    AttemptFactory,
    DeadLetterFactory,
    OutboxFactory,
    PaymentFactory,
    StaffFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def make_mail() -> object:
    return Mail.objects.create(
        application=ApplicationFactory.create(),
        occasion="received",
        recipient="ada@example.com",
        subject="We received your application",
        message_id="<1@x>",
    )


def make_provider_event() -> object:
    number = ProviderEvent.objects.count()
    return ProviderEvent.objects.create(
        provider="sandbox",
        event_id=f"evt_{number}",
        type="paid",
        payload={},
        payment=PaymentFactory.create(),
    )


def make_dead_letter() -> object:
    row = DeadLetterFactory.create()
    for number in (1, 2, 3):
        AttemptFactory.create(outbox=row, number=number, error_class="Oops")
    return row


def make_queue() -> object:
    return QueueControl.objects.create(name=f"queue{QueueControl.objects.count()}")


PAGES: dict[str, Callable[[], object]] = {
    "accounts/user": UserFactory.create,
    "applications/application": ApplicationFactory.create,
    "payments/payment": PaymentFactory.create,
    "payments/providerevent": make_provider_event,
    "notifications/mail": make_mail,
    "outbox/outbox": OutboxFactory.create,
    "outbox/deadletter": make_dead_letter,
    "outbox/queuecontrol": make_queue,
}


@pytest.fixture
def admin(client: Client, staff) -> Client:
    client.force_login(staff)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_list_makes_the_same_queries_for_any_size(admin, page):
    PAGES[page]()
    admin.get(f"/admin/{page}/")  # fills what is cached for the life of the process
    counts = []
    for more in (0, 2):
        for _ in range(more):
            PAGES[page]()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert admin.get(f"/admin/{page}/").status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]


@pytest.mark.parametrize("page", set(PAGES) - {"accounts/user"})
def test_rows_can_be_looked_at_and_not_changed(admin, page):
    row: Any = PAGES[page]()

    shown = admin.get(f"/admin/{page}/{row.pk}/change/")
    assert shown.status_code == 200
    assert 'name="_save"' not in shown.content.decode()
    assert admin.post(f"/admin/{page}/{row.pk}/change/", {}).status_code == 403
    assert admin.post(f"/admin/{page}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin.get(f"/admin/{page}/add/").status_code == 403
    row.refresh_from_db()


@pytest.mark.parametrize("page", PAGES)
def test_lists_need_the_permission(client, page):
    app, model = page.split("/")
    user = StaffFactory.create(is_superuser=False)
    client.force_login(user)
    assert client.get(f"/admin/{page}/").status_code == 403

    user.user_permissions.add(
        Permission.objects.get(content_type__app_label=app, codename=f"view_{model}")
    )
    assert client.get(f"/admin/{page}/").status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_lists_can_be_searched_for_anything(admin, page):
    for words in ("ada", "1", "5b0c1c1e-7c0f-4a53-9d0e-0b8d2b8e6f5a", "%_'\"\\", "9" * 30):
        assert admin.get(f"/admin/{page}/", {"q": words}).status_code == 200


def test_admin_is_not_for_students(client, student):
    client.force_login(student)

    response = client.get("/admin/applications/application/")

    assert response["Location"].startswith("/admin/login/")


def test_application_page_escapes_what_students_wrote(admin):
    application = ApplicationFactory.create(personal_statement="<script>alert(1)</script>")
    ApplicationFileFactory.create(application=application, name="<script>alert(2)</script>.pdf")

    page = admin.get(f"/admin/applications/application/{application.pk}/change/").content.decode()

    assert "<script>alert(" not in page
    assert page.count("&lt;script&gt;alert(") >= 2


def test_admin_has_no_pages_of_django_q(admin):
    for model in ("schedule", "success", "failure", "ormq"):
        assert admin.get(f"/admin/django_q/{model}/").status_code == 404


def test_application_page_leads_to_its_trace(admin):
    page_url = f"/admin/applications/application/{ApplicationFactory.create().pk}"
    link = f"{page_url}/show-trace/"

    assert f'href="{link}"' in admin.get(f"{page_url}/change/").content.decode()
    assert admin.get(link)["Location"] == f"{page_url}/trace/"
