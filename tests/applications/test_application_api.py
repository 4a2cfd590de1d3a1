from __future__ import annotations

import uuid

import pytest
from rest_framework.test import APIClient

from applications.models import Application, ApplicationFile
from tests.applications.conftest import client_of
from tests.applications.submissions import STATEMENT, assert_problem, submit, upload
from tests.factories import ApplicationFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_list_shows_only_my_applications_newest_first(bearer, student):
    mine = [ApplicationFactory.create(student=student) for _ in range(3)]
    ApplicationFactory.create()

    body = bearer.get("/applications").json()

    assert [item["applicationId"] for item in body["results"]] == [
        str(application.pk) for application in reversed(mine)
    ]
    assert (body["next"], body["previous"]) == (None, None)
    assert body["results"][0] == {
        "applicationId": str(mine[2].pk),
        "status": "submitted",
        "progress": 25,
        "createdAt": body["results"][0]["createdAt"],
        "updatedAt": body["results"][0]["updatedAt"],
        "statusUrl": f"/applications/{mine[2].pk}/status",
    }
    assert body["results"][0]["createdAt"].endswith("Z")


def test_list_comes_in_pages_that_miss_and_repeat_nothing(bearer, student):
    mine = [str(ApplicationFactory.create(student=student).pk) for _ in range(5)]
    Application.objects.update(created_at="2026-01-01T00:00:00Z")  # all at the same moment

    seen, page = [], bearer.get("/applications?pageSize=2").json()
    while True:
        seen += [item["applicationId"] for item in page["results"]]
        assert len(page["results"]) <= 2
        if page["next"] is None:
            break
        page = bearer.get(page["next"]).json()

    assert sorted(seen) == sorted(mine)


def test_list_of_staff_is_also_their_own(staff_bearer):
    ApplicationFactory.create()

    assert staff_bearer.get("/applications").json()["results"] == []


def test_list_with_a_wrong_cursor_is_not_there(bearer):
    assert_problem(bearer.get("/applications?cursor=nonsense"), 404, "not_found")


@pytest.mark.parametrize("size", [1, 3])
def test_list_makes_the_same_queries_for_any_size(bearer, student, size, django_assert_num_queries):
    ApplicationFactory.create_batch(size, student=student)

    with django_assert_num_queries(2):
        assert len(bearer.get("/applications").json()["results"]) == size


def test_one_application_has_its_statement_and_files(bearer):
    submit(bearer, upload(), upload(name="other.pdf"))
    application = Application.objects.get()
    files = list(ApplicationFile.objects.order_by("position"))

    body = bearer.get(f"/applications/{application.pk}").json()

    assert body["applicationId"] == str(application.pk)
    assert body["personalStatement"] == STATEMENT
    assert body["files"] == [
        {
            "fileId": str(file.pk),
            "name": file.name,
            "contentType": "application/pdf",
            "size": 9,
            "sha256": file.sha256,
            "state": "waiting",
        }
        for file in files
    ]


@pytest.mark.parametrize("files", [1, 3])
def test_one_application_makes_the_same_queries_for_any_files(
    bearer, files, django_assert_num_queries
):
    application_id = submit(bearer, *[upload() for _ in range(files)]).json()["applicationId"]

    with django_assert_num_queries(3):
        assert len(bearer.get(f"/applications/{application_id}").json()["files"]) == files


def test_one_application_is_hidden_from_others_and_shown_to_staff(bearer, staff_bearer, student):
    url = f"/applications/{ApplicationFactory.create(student=student).pk}"

    assert_problem(client_of(UserFactory.create()).get(url), 404, "not_found")
    assert_problem(APIClient().get(url), 401, "not_authenticated")
    assert bearer.get(url).json() == staff_bearer.get(url).json()


def test_an_unknown_application_is_not_there(bearer):
    assert_problem(bearer.get(f"/applications/{uuid.uuid4()}"), 404, "not_found")
