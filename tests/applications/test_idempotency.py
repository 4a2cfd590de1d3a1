from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from applications import idempotency
from applications.models import Application, IdempotencyKey
from outbox.models import Outbox
from tests.applications.conftest import client_of
from tests.applications.documents import PDF_HEAD
from tests.applications.submissions import (
    STATEMENT,
    assert_nothing_is_left,
    assert_problem,
    body_of,
    file_part,
    stored_files,
    submit,
    submit_raw,
    text_part,
    upload,
)
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def test_the_same_request_again_gets_the_same_answer(bearer, storage_dir):
    first = submit(bearer, upload(), key="k")
    rows = Outbox.objects.count()

    second = submit(bearer, upload(), key="k")

    assert (second.status_code, second.content) == (202, first.content)
    assert second["Location"] == first["Location"]
    assert second["Retry-After"] == "2"
    assert second["Idempotency-Replayed"] == "true"
    assert Application.objects.count() == 1
    assert Outbox.objects.count() == rows
    assert stored_files(storage_dir) == [PDF_HEAD]
    assert Application.objects.get().files.get().storage_name in {
        p.name for p in storage_dir.iterdir()
    }


def test_the_answer_stays_that_of_the_first_time(bearer):
    first = submit(bearer, key="k")
    Application.objects.update(status="completed", progress=100)

    assert submit(bearer, key="k").json() == first.json()


def test_another_boundary_is_the_same_content(bearer):
    parts = [text_part("personalStatement", STATEMENT), file_part("a.pdf", PDF_HEAD)]
    body, key = body_of(parts), {"Idempotency-Key": "k"}
    submit_raw(bearer, body, **key)

    again = submit_raw(
        bearer,
        body.replace(b"the-boundary", b"another"),
        "multipart/form-data; boundary=another",
        **key,
    )

    assert (again.status_code, again["Idempotency-Replayed"]) == (202, "true")


@pytest.mark.parametrize(
    ("statement", "files"),
    [
        ("another statement", [upload()]),
        (STATEMENT, []),
        (STATEMENT, [upload(PDF_HEAD + b"x")]),
        (STATEMENT, [upload(name="other.pdf")]),
        (STATEMENT, [upload(), upload()]),
        ("", [upload(b"junk")]),
    ],
)
def test_other_content_with_the_key_is_refused(bearer, storage_dir, statement, files):
    submit(bearer, upload(), key="k")

    response = submit(bearer, *files, statement=statement, key="k")

    assert_problem(response, 422, "idempotency_key_reused")
    assert Application.objects.count() == 1
    assert stored_files(storage_dir) == [PDF_HEAD]


def test_files_in_another_order_are_other_content(bearer):
    one, two = PDF_HEAD + b"1", PDF_HEAD + b"2"
    submit(bearer, upload(one), upload(two), key="k")

    assert submit(bearer, upload(two), upload(one), key="k").status_code == 422


def test_another_priority_is_other_content(staff_bearer):
    submit(staff_bearer, key="k", priority="1")

    assert submit(staff_bearer, key="k", priority="0").status_code == 422


def test_another_user_has_keys_of_their_own(bearer):
    first = submit(bearer, key="k")
    second = submit(client_of(UserFactory.create()), key="k")

    assert (first.status_code, second.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in second
    assert first.json()["applicationId"] != second.json()["applicationId"]


def test_a_new_token_or_a_session_is_the_same_user(bearer, student):
    first = submit(bearer, key="k")
    client = APIClient()
    client.force_login(student)
    client.get("/apply")
    headers = {"X-CSRFToken": client.cookies["csrftoken"].value}

    assert submit(client_of(student), key="k").content == first.content
    assert submit(client, key="k", headers=headers).content == first.content


@pytest.mark.parametrize(
    ("bare", "quoted"),
    [("k-1", '"k-1"'), ("a b", '"a b"'), ('a"b', '"a\\"b"'), ("a\\b", '"a\\\\b"')],
)
def test_a_bare_key_and_a_quoted_one_are_the_same(bearer, bare, quoted):
    submit(bearer, key=bare)

    assert submit(bearer, key=quoted)["Idempotency-Replayed"] == "true"


def test_keys_differ_by_case(bearer):
    submit(bearer, key="k")

    assert "Idempotency-Replayed" not in submit(bearer, key="K")


@pytest.mark.parametrize("key", ["x", "x" * 255, f'"{"x" * 255}"', "~!@ #"])
def test_good_keys_are_accepted(bearer, key):
    assert submit(bearer, key=key).status_code == 202
    assert IdempotencyKey.objects.get().key == key.strip('"')


@pytest.mark.parametrize(
    "key", ["", '""', "x" * 256, f'"{"x" * 256}"', "schlüssel", "a\tb", "🎓", "a\x7f", "a\x00"]
)
def test_bad_keys_are_refused(bearer, storage_dir, key):
    response = submit(bearer, upload(), key=key)

    assert_problem(response, 400, "invalid", **{"Idempotency-Key": "invalid_idempotency_key"})
    assert_nothing_is_left(storage_dir)


def test_an_expired_key_is_free_again(bearer):
    first = submit(bearer, key="k")
    IdempotencyKey.objects.update(expires_at=Now())

    second = submit(bearer, key="k", statement="another statement")

    assert (second.status_code, Application.objects.count()) == (202, 2)
    assert "Idempotency-Replayed" not in second
    assert second.json()["applicationId"] != first.json()["applicationId"]
    assert submit(bearer, key="k", statement="another statement").json() == second.json()


def test_a_key_is_kept_for_a_day(bearer):
    submit(bearer, key="k")

    (row,) = IdempotencyKey.objects.all()
    assert row.expires_at - row.created_at == timedelta(hours=24)
    assert row.route == "POST /applications"


def test_delete_expired_deletes_only_expired_keys(bearer):
    submit(bearer, key="old")
    IdempotencyKey.objects.update(expires_at=Now())
    submit(bearer, key="new")

    assert idempotency.delete_expired() == 1
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["new"]
