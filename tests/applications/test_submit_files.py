from __future__ import annotations

import pytest

from applications.models import Application, ApplicationFile
from tests.applications.documents import JPEG_HEAD, PDF_HEAD, PNG_HEAD
from tests.applications.submissions import (
    assert_nothing_is_left,
    assert_problem,
    file_part,
    stored_files,
    submit,
    submit_parts,
    upload,
)

pytestmark = pytest.mark.django_db

MIB = 1024 * 1024


def test_submit_accepts_five_files(bearer):
    assert submit(bearer, *[upload() for _ in range(5)]).status_code == 202
    assert Application.objects.get().files.count() == 5


@pytest.mark.parametrize("count", [6, 7, 8])
def test_submit_with_too_many_files_is_refused(bearer, storage_dir, count):
    response = submit(bearer, *[upload() for _ in range(count)], key="k")

    assert_problem(response, 400, "invalid", files="too_many_files")
    assert_nothing_is_left(storage_dir)


@pytest.mark.parametrize("bad", [0, 5])
def test_submit_with_too_many_files_and_a_bad_one_is_refused(bearer, storage_dir, bad):
    files = [upload(b"junk" if index == bad else PDF_HEAD) for index in range(6)]

    response = submit(bearer, *files)

    assert_problem(
        response, 400, "invalid", **{"files": "too_many_files", f"files.{bad}": "unsupported_type"}
    )
    assert_nothing_is_left(storage_dir)


@pytest.mark.parametrize(
    ("name", "content", "declared"),
    [
        ("a.pdf", PDF_HEAD, "application/pdf"),
        ("a.PDF", PDF_HEAD, "application/octet-stream"),
        ("a.pdf", PDF_HEAD, None),
        ("a.pdf", PDF_HEAD, "application/pdf; charset=utf-8"),
        ("a.pdf", PDF_HEAD, "Application/PDF"),
        ("a.jpg", JPEG_HEAD, "image/jpeg"),
        ("a.jpeg", JPEG_HEAD, "image/jpg"),
        ("a.jfif", JPEG_HEAD, "image/jpeg"),
        ("a.pdf", PDF_HEAD, "application/x-pdf"),
        ("a.JPG", JPEG_HEAD, None),
        ("a.png", PNG_HEAD, "image/png"),
        ("archive.tar.png", PNG_HEAD, "image/png"),
    ],
)
def test_submit_accepts_the_three_types(bearer, name, content, declared):
    response = submit_parts(bearer, file_part(name, content, declared=declared))

    assert response.status_code == 202
    (file,) = ApplicationFile.objects.values_list("name", "size")
    assert file == (name, len(content))


@pytest.mark.parametrize(
    ("name", "content", "declared", "code"),
    [
        ("a.pdf", b"", "application/pdf", "empty_file"),
        ("a.pdf", b"%PDF", "application/pdf", "unsupported_type"),
        ("a.pdf", b"<html><script>", "application/pdf", "unsupported_type"),
        ("a.pdf", b'<svg xmlns="http://www.w3.org/2000/svg">', None, "unsupported_type"),
        ("a.pdf", b"junk" * 200 + PDF_HEAD, "application/pdf", "unsupported_type"),
        ("a.pdf", b"\n" + PDF_HEAD, "application/pdf", "unsupported_type"),
        ("a.gif", b"GIF89a", "image/gif", "unsupported_type"),
        ("a.docx", b"PK\x03\x04", "application/zip", "unsupported_type"),
        ("a.png", PNG_HEAD[:7], "image/png", "unsupported_type"),
        ("a.html", PDF_HEAD, "application/pdf", "type_mismatch"),
        ("a.pdf.exe", PDF_HEAD, "application/pdf", "type_mismatch"),
        ("pdf", PDF_HEAD, "application/pdf", "type_mismatch"),
        (".pdf", PDF_HEAD, "application/pdf", "type_mismatch"),
        ("a.png", PDF_HEAD, "image/png", "type_mismatch"),
        ("a.pdf", PDF_HEAD, "text/html", "type_mismatch"),
        ("a.pdf", PDF_HEAD, "image/jpeg", "type_mismatch"),
        ("a.jpg", JPEG_HEAD, "application/pdf", "type_mismatch"),
        ("a.png", JPEG_HEAD, "image/png", "type_mismatch"),
    ],
)
def test_submit_refuses_other_files(bearer, storage_dir, name, content, declared, code):
    response = submit_parts(
        bearer, file_part("good.pdf", PDF_HEAD), file_part(name, content, declared=declared)
    )

    assert_problem(response, 400, "invalid", **{"files.1": code})
    assert_nothing_is_left(storage_dir)


def test_submit_accepts_a_file_of_just_the_limit(bearer, storage_dir, settings):
    settings.MAX_FILE_BYTES = 1000
    content = PDF_HEAD.ljust(1000, b"x")

    assert submit(bearer, upload(content)).status_code == 202
    assert stored_files(storage_dir) == [content]


@pytest.mark.parametrize("size", [1001, 200_000])
def test_submit_with_a_file_over_the_limit_is_too_large(bearer, storage_dir, settings, size):
    settings.MAX_FILE_BYTES = 1000

    response = submit(bearer, upload(), upload(PDF_HEAD.ljust(size, b"x")), key="k")

    assert_problem(response, 413, "too_large")
    assert_nothing_is_left(storage_dir)


def test_submit_keeps_the_real_limit_of_ten_mebibytes(bearer, storage_dir):
    fits = submit(bearer, upload(PDF_HEAD.ljust(10 * MIB, b"x")))
    too_large = submit(bearer, upload(PDF_HEAD.ljust(10 * MIB + 1, b"x")))

    assert fits.status_code == 202
    assert_problem(too_large, 413, "too_large")
    assert [len(content) for content in stored_files(storage_dir)] == [10 * MIB]


def test_submit_accepts_files_of_just_the_total(bearer, settings):
    settings.MAX_TOTAL_FILE_BYTES = 3000

    response = submit(bearer, *[upload(PDF_HEAD.ljust(1000, b"x")) for _ in range(3)])

    assert response.status_code == 202


def test_submit_with_files_over_the_total_is_too_large(bearer, storage_dir, settings):
    settings.MAX_TOTAL_FILE_BYTES = 3000
    sizes = [1000, 1000, 1001]

    response = submit(bearer, *[upload(PDF_HEAD.ljust(size, b"x")) for size in sizes], key="k")

    assert_problem(response, 413, "too_large")
    assert_nothing_is_left(storage_dir)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("../../etc/passwd.pdf", "passwd.pdf"),
        ("/tmp/a.pdf", "a.pdf"),
        ("C:\\\\Users\\\\ada\\\\a.pdf", "a.pdf"),
        ("a\x00b.pdf", "ab.pdf"),
        ("invoice\u202efdp.pdf", "invoicefdp.pdf"),
        ("a\u200b\u2066b.pdf", "ab.pdf"),
        (" a b.pdf \u00a0", "a b.pdf"),
        ("line\tbreak\x1b.pdf", "linebreak.pdf"),
        ("cafe\u0301.pdf", "caf\u00e9.pdf"),
        ("Zeugnis Ä & <b>.pdf", "Zeugnis Ä & <b>.pdf"),
        ("x" * 300 + ".pdf", "x" * 146 + ".pdf"),
        ("x" * 146 + ".pdf", "x" * 146 + ".pdf"),
        ("🎓" * 200 + ".pdf", "🎓" * 146 + ".pdf"),
    ],
)
def test_submit_stores_a_harmless_name(bearer, storage_dir, sent, stored):
    response = submit_parts(bearer, file_part(sent, PDF_HEAD))

    assert response.status_code == 202, response.content
    assert ApplicationFile.objects.get().name == stored
    (path,) = storage_dir.iterdir()
    assert path.name == ApplicationFile.objects.get().storage_name
