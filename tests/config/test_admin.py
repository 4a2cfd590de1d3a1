"""The pages of the admin: what they show, to whom, and with how many queries."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from outbox.models import QueueControl
from tests.factories import (
    ApplicationFactory,
    ApplicationFileFactory,
    AttemptFactory,
    DeadLetterFactory,
    MailFactory,
    OutboxFactory,
    ProviderEventFactory,
    RefundFactory,
    StaffFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def make_document() -> object:
    return ApplicationFileFactory.create(needs_review=True)


def make_payment() -> object:
    return RefundFactory.create().charge.payment


def make_dead_letter() -> object:
    row = DeadLetterFactory.create()
    for number in (1, 2, 3):
        AttemptFactory.create(outbox=row, number=number, error_class="Oops")
    return row


def make_queue() -> object:
    return QueueControl.objects.create(name=f"queue{QueueControl.objects.count()}")


DOCUMENTS = "applications/applicationfile"
PAGES: dict[str, Callable[[], object]] = {
    "accounts/user": UserFactory.create,
    "applications/application": ApplicationFactory.create,
    DOCUMENTS: make_document,
    "payments/payment": make_payment,
    "payments/providerevent": ProviderEventFactory.create,
    "notifications/mail": MailFactory.create,
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


# Users can be changed, and documents be decided about: test_document_review.
@pytest.mark.parametrize("page", sorted(set(PAGES) - {"accounts/user", DOCUMENTS}))
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


def test_application_page_leads_to_every_version_of_a_document(admin):
    application = ApplicationFactory.create()
    old = ApplicationFileFactory.create(
        application=application, position=0, state="failed", replaced_at=Now()
    )
    new = ApplicationFileFactory.create(
        application=application, position=0, version=2, needs_review=True
    )

    page = admin.get(f"/admin/applications/application/{application.pk}/change/").content.decode()

    for file, state in ((old, "replaced"), (new, "to decide")):
        page = page[page.index(f'href="/admin/applications/applicationfile/{file.pk}/change/"') :]
        label = page[page.index("field-coloured_state") :]
        assert state in label[: label.index("</td>")]
    assert "<strong>Legible.</strong> We could hardly read it." in page


@pytest.mark.parametrize(
    ("make", "link"),
    [
        (make_document, f"/admin/{DOCUMENTS}/?state=needs_review"),
        (make_dead_letter, "/admin/outbox/deadletter/"),
        (partial(ProviderEventFactory.create, held=True), "/admin/payments/providerevent/"),
    ],
)
def test_sidebar_counts_what_waits_for_staff(admin, make, link):
    def shown() -> list[tuple[Any, str]]:
        groups = admin.get("/admin/").context["sidebar_navigation"]
        return [
            (item["badge"], item["link"])
            for group in groups
            for item in group["items"]
            if "badge" in item
        ]

    before = shown()
    make()
    make()

    assert (before, shown()) == ([], [(2, link)])


def test_admin_has_no_pages_of_django_q(admin):
    for model in ("schedule", "success", "failure", "ormq"):
        assert admin.get(f"/admin/django_q/{model}/").status_code == 404


def test_application_page_leads_to_its_trace(admin):
    page_url = f"/admin/applications/application/{ApplicationFactory.create().pk}"
    link = f"{page_url}/show-trace/"

    assert f'href="{link}"' in admin.get(f"{page_url}/change/").content.decode()
    assert admin.get(link)["Location"] == f"{page_url}/trace/"
