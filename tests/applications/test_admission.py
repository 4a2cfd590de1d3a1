from __future__ import annotations

import shutil
from collections import namedtuple

import pytest
from django.test import Client

from applications.models import Application, IdempotencyKey
from outbox import admission
from outbox.models import Priority, QueueControl
from tests.applications.submissions import STATEMENT, stored_files, submit, upload

pytestmark = pytest.mark.django_db
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def backlog(settings, monkeypatch: pytest.MonkeyPatch):
    """Set what the relay has measured: so many normal rows wait, and two are done per second."""
    settings.OUTBOX_MAX_BACKLOG_SECONDS = 100
    monkeypatch.setattr(admission, "LOOK_SECONDS", 1e-9)

    def measured(normal: int) -> None:
        QueueControl.objects.update_or_create(
            name="send_email", defaults={"waiting": [0, 0, normal, 0], "drain_per_second": 2.0}
        )

    return measured


@pytest.fixture
def free_disk(settings, monkeypatch: pytest.MonkeyPatch):
    """Set how many bytes the disk of the documents has left; 1,000 must be."""
    settings.MIN_FREE_DISK_BYTES = 1_000

    def left(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10_000, 0, free))

    return left


def test_submit_at_the_limit_of_the_backlog_is_accepted(bearer, backlog):
    backlog(200)

    assert submit(bearer, upload()).status_code == 202


def test_submit_past_the_limit_is_refused_until_the_backlog_has_fallen(
    bearer, backlog, storage_dir
):
    backlog(230)

    refused = submit(bearer, upload(), key="k")

    assert (refused.status_code, refused["Retry-After"]) == (503, "15")
    assert refused.json()["type"] == "urn:sluice:problem:overloaded"
    assert (Application.objects.count(), IdempotencyKey.objects.count()) == (0, 0)
    assert stored_files(storage_dir) == []

    backlog(200)

    assert submit(bearer, upload(), key="k").status_code == 202


def test_submit_of_urgent_work_is_accepted_for_longer(api, staff, backlog):
    backlog(230)
    api.force_authenticate(staff)

    answers = [
        submit(api, priority=str(priority.value)).status_code
        for priority in (Priority.CRITICAL, Priority.HIGH, Priority.LOW)
    ]

    assert answers == [202, 202, 503]
    assert list(Application.objects.order_by("created_at").values_list("priority", flat=True)) == [
        Priority.CRITICAL,
        Priority.HIGH,
    ]


def test_submit_that_was_accepted_before_gets_its_answer_again(bearer, backlog):
    first = submit(bearer, upload(), key="k")
    backlog(230)

    again = submit(bearer, upload(), key="k")

    assert (again.status_code, again.json()) == (202, first.json())
    assert again["Idempotency-Replayed"] == "true"


def test_submit_with_room_on_the_disk_is_accepted(bearer, free_disk):
    free_disk(1_000)

    assert submit(bearer, upload()).status_code == 202


def test_submit_without_room_on_the_disk_is_refused_before_its_body_is_read(
    bearer, free_disk, storage_dir, settings
):
    free_disk(999)

    refused = submit(bearer, upload())

    assert refused.status_code == 503
    assert refused["Retry-After"] == str(settings.FULL_DISK_RETRY_SECONDS)
    assert refused.json()["type"] == "urn:sluice:problem:storage_full"
    assert (Application.objects.count(), stored_files(storage_dir)) == (0, [])


def test_form_keeps_the_text_while_too_much_is_waiting(student, backlog):
    backlog(230)
    browser = Client()
    browser.force_login(student)

    page = browser.post("/apply", {"personalStatement": STATEMENT})

    assert (page.status_code, page["Retry-After"]) == (503, "15")
    content = page.content.decode()
    assert STATEMENT in content
    assert "More applications are waiting than we can work off in time." in content


def test_form_says_that_there_is_no_room_on_the_disk(student, free_disk):
    free_disk(0)
    browser = Client()
    browser.force_login(student)

    page = browser.post("/apply", {"personalStatement": STATEMENT})

    assert (page.status_code, page["Retry-After"]) == (503, "300")
    assert "We have no room for more documents just now." in page.content.decode()
