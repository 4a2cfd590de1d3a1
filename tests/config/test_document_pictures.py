"""Looks of staff at documents in the admin: the pictures of their pages, and what is noted."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.storage import default_storage

from applications.admin import pictures
from applications.admin.review import SHOWN_ACCESSES
from applications.models import DocumentAccess
from tests.applications.documents import encrypted_pdf, image, pdf
from tests.config.document_pages import LIST, START, looks, picture_url, stored, url
from tests.factories import DocumentAccessFactory, UserFactory

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_look_is_noted_once_pictures_included(client, reviewer, file):
    page = client.get(url(file)).content.decode()
    for number in (1, 2):
        assert client.get(picture_url(file, number)).status_code == 200

    assert looks() == [(file.pk, reviewer.pk, "viewed")]
    assert reviewer.email in page


def test_every_view_of_the_page_is_a_look(client, reviewer, file):
    client.get(url(file))
    client.post(url(file), {"decision": "accept"})  # shows the page again, with what is missing

    assert looks() == [(file.pk, reviewer.pk, "viewed")] * 2


def test_a_decision_is_no_look(client, reviewer, file):
    client.post(url(file), {"decision": "accept", "reason": "fine"})

    assert looks() == []


def test_a_picture_without_its_page_is_a_look(client, reviewer, file):
    long_ago = DocumentAccessFactory.create(file=file, user=reviewer, at=START)
    colleague = DocumentAccessFactory.create(file=file)
    elsewhere = DocumentAccessFactory.create(user=reviewer)
    downloaded = DocumentAccessFactory.create(file=file, user=reviewer, kind="downloaded")

    client.get(picture_url(file, 1))
    client.get(picture_url(file, 2))

    before = [long_ago.pk, colleague.pk, elsewhere.pk, downloaded.pk]
    after = DocumentAccess.objects.exclude(pk__in=before).values_list("file", "user", "kind")
    assert list(after) == [(file.pk, reviewer.pk, "viewed")]


def test_page_lists_the_latest_looks(client, reviewer, file):
    DocumentAccessFactory.create(file=file, at=START, user=UserFactory.create(name="Long Ago"))
    DocumentAccessFactory.create_batch(SHOWN_ACCESSES - 2, file=file, kind="downloaded")

    all_of_them = client.get(url(file)).content.decode()  # the last of them
    one_is_too_much = client.get(url(file)).content.decode()

    hint = "Earlier looks are in the trace of the application."
    assert ("Long Ago" in all_of_them, hint in all_of_them) == (True, False)
    assert ("Long Ago" in one_is_too_much, hint in one_is_too_much) == (False, True)


def test_a_picture_of_a_page_is_kept_privately_and_runs_nothing(client, reviewer, file):
    response = client.get(picture_url(file, 2))

    assert response.content.startswith(PNG)
    expected = {
        "Content-Type": "image/png",
        "Cache-Control": "private, max-age=300",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    assert {name: response[name] for name in expected} == expected


def test_an_image_has_one_page(client, reviewer):
    file = stored(image("JPEG"), content_type="image/jpeg", pages=1)

    assert client.get(picture_url(file, 1)).content.startswith(PNG)
    assert client.get(picture_url(file, 2)).status_code == 404


@pytest.mark.parametrize("page", ["0", "3", "9" * 30])
def test_past_the_last_page_there_is_no_picture(client, reviewer, file, page):
    response = client.get(f"{LIST}{file.pk}/page/{page}/")

    assert (response.status_code, looks()) == (404, [])


@pytest.mark.parametrize("content", [b"%PDF-1.7\n", encrypted_pdf(user="secret", owner="owner")])
def test_a_page_that_cannot_be_drawn_is_told_of(client, reviewer, content):
    file = stored(content, pages=0)

    page = client.get(url(file)).content.decode()
    response = client.get(picture_url(file))

    assert f'src="{picture_url(file)}"' in page
    assert "There is no picture of page 1: it can't be drawn, or took too long." in page
    assert (response.status_code, response.content) == (422, b"The page can't be drawn.")
    assert response["Cache-Control"] == "private, no-store"


def test_no_more_pages_are_drawn_at_a_time_than_the_server_can_bear(client, reviewer, file):
    with pictures._renderings, pictures._renderings:
        refused = client.get(picture_url(file))

    assert (refused.status_code, refused["Retry-After"]) == (503, "1")
    assert refused.content == b"Too many pages are being drawn. Try again in a moment."
    assert client.get(picture_url(file)).status_code == 200


def test_a_page_that_was_drawn_makes_room_for_the_next(client, reviewer):
    file = stored(b"%PDF-1.7\n", pages=0)

    answers = [
        client.get(picture_url(file)).status_code for _ in range(pictures.MAX_RENDERINGS + 1)
    ]

    assert answers == [422] * 3


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(pdf())])
def test_a_stored_file_that_is_lost_or_changed_is_told_of(client, reviewer, file, damage):
    damage(Path(default_storage.path(file.storage_name)))

    response = client.get(picture_url(file))

    assert (response.status_code, response.content) == (503, b"The stored file can't be read.")
