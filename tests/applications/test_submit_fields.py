from __future__ import annotations

import pytest

from applications.models import Application
from tests.applications.submissions import (
    STATEMENT,
    assert_nothing_is_left,
    assert_problem,
    body_of,
    codes,
    file_part,
    submit,
    submit_parts,
    submit_raw,
    text_part,
    upload,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (None, "required"),
        ("", "required"),
        (" \r\n\t\u00a0", "required"),
        ("x" * 20_001, "too_long"),
        ("a\x00b", "null_character"),
        ("\x00", "null_character"),
    ],
)
def test_submit_with_a_bad_statement_is_refused(bearer, storage_dir, statement, code):
    response = submit(bearer, upload(), statement=statement, key="k")

    assert_problem(response, 400, "invalid", personalStatement=code)
    assert_nothing_is_left(storage_dir)


@pytest.mark.parametrize("character", ["x", "ü", "🎓"])
def test_submit_counts_characters_of_the_statement_not_bytes(bearer, character):
    response = submit(bearer, statement=character * 20_000)

    assert response.status_code == 202
    assert Application.objects.get().personal_statement == character * 20_000


def test_submit_with_a_priority_by_a_student_is_forbidden(bearer, storage_dir):
    response = submit(bearer, upload(), priority="0", key="k")

    assert_problem(response, 403, "staff_only")
    assert_nothing_is_left(storage_dir)


def test_submit_with_an_empty_priority_by_a_student_is_accepted(bearer):
    assert submit(bearer, priority="").status_code == 202
    assert Application.objects.get().priority == 2


@pytest.mark.parametrize("field", ["personalStatement", "priority"])
def test_submit_with_a_text_field_sent_as_a_file_is_refused(bearer, storage_dir, field):
    response = submit_parts(bearer, file_part("statement.pdf", b"%PDF-", field=field))

    assert_problem(response, 400, "invalid", **{field: "unknown_field"})
    assert_nothing_is_left(storage_dir)


def test_submit_with_files_sent_as_text_is_refused(bearer, storage_dir):
    response = submit_parts(bearer, text_part("files", "%PDF-1.7"))

    assert_problem(response, 400, "invalid", files="not_a_file")
    assert_nothing_is_left(storage_dir)


def test_submit_accepts_the_empty_file_field_of_a_browser(bearer):
    response = submit_parts(bearer, file_part("", b"", declared="application/octet-stream"))

    assert (response.status_code, Application.objects.get().files.count()) == (202, 0)


def test_submit_with_a_file_in_an_unknown_field_is_refused(bearer, storage_dir):
    response = submit_parts(bearer, file_part("a.pdf", b"%PDF-", field="document"))

    assert_problem(response, 400, "invalid", document="unknown_field")
    assert_nothing_is_left(storage_dir)


def test_submit_names_everything_that_is_wrong_at_once(bearer, storage_dir):
    response = submit(bearer, upload(b"<html>"), upload(), upload(b""), statement="")

    assert_problem(
        response,
        400,
        "invalid",
        **{"personalStatement": "required", "files.0": "unsupported_type", "files.2": "empty_file"},
    )
    assert_nothing_is_left(storage_dir)


def test_submit_with_text_fields_over_the_limit_is_too_large(bearer, storage_dir, settings):
    parts = [
        file_part("a.pdf", b"%PDF-1"),
        text_part("padding", "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE),
        file_part("b.pdf", b"%PDF-2"),
    ]

    response = submit_parts(bearer, *parts)

    assert_problem(response, 413, "too_large")
    assert_nothing_is_left(storage_dir)


def test_submit_with_too_many_text_fields_is_refused(bearer, storage_dir):
    parts = [text_part(f"field{n}", "") for n in range(1100)]

    response = submit_parts(bearer, file_part("a.pdf", b"%PDF-1"), *parts)

    assert_problem(response, 400, "bad_request")
    assert_nothing_is_left(storage_dir)


def test_submit_takes_the_last_of_repeated_fields(bearer):
    first = text_part("personalStatement", "first")

    response = submit_raw(bearer, body_of([first, text_part("personalStatement", STATEMENT)]))

    assert response.status_code == 202
    assert Application.objects.get().personal_statement == STATEMENT


def test_submit_ignores_unknown_text_fields(bearer):
    response = submit_parts(bearer, text_part("status", "completed"), text_part("progress", "100"))

    assert (response.status_code, response.json()["status"]) == (202, "verified")


def test_submit_without_a_body_says_what_is_missing(bearer):
    response = submit_raw(bearer, b"")

    assert (response.status_code, codes(response)) == (400, {"personalStatement": "required"})
