from __future__ import annotations

import io

import pikepdf
import pypdfium2
import pytest

from runtime.demo_stories import checks_with, timeline_lines, unchecked_lines
from runtime.sample_documents import CERTIFICATE, PASSWORD, TRANSCRIPT, locked_pdf, pdf, scanned_pdf

DOCUMENTS = [
    {
        "name": "a.pdf",
        "checks": [
            {"code": "size", "verdict": "passed", "detail": "Fine."},
            {"code": "legible", "verdict": "not_checked", "detail": "Nothing can read it here."},
        ],
    },
    {"name": "b.pdf", "checks": [{"code": "malware", "verdict": "failed", "detail": "A virus."}]},
]


def text_of(content: bytes) -> str:
    document = pypdfium2.PdfDocument(content)
    try:
        assert len(document) == 1
        return str(document[0].get_textpage().get_text_range())
    finally:
        document.close()


def test_timeline_lines_show_the_seconds_since_the_submission() -> None:
    timeline = [
        {"at": "2026-01-01T10:00:00Z", "event": "submitted", "detail": ""},
        {"at": "2026-01-01T10:00:01.250Z", "event": "document_verified", "detail": "a.pdf"},
    ]

    assert timeline_lines(timeline) == [
        "    0.000  submitted",
        "    1.250  document_verified  a.pdf",
    ]


def test_timeline_lines_of_nothing_are_none() -> None:
    assert timeline_lines([]) == []


def test_unchecked_lines_say_what_was_left_out() -> None:
    assert unchecked_lines(DOCUMENTS) == [
        "Not checked in a.pdf: legible. Nothing can read it here."
    ]


def test_checks_with_a_verdict_come_with_the_name_of_their_document() -> None:
    assert checks_with("failed", DOCUMENTS) == [("b.pdf", DOCUMENTS[1]["checks"][0])]


def test_pdf_has_its_lines_as_text() -> None:
    assert text_of(pdf(TRANSCRIPT)).splitlines() == list(TRANSCRIPT)


def test_pdf_keeps_brackets_and_backslashes() -> None:
    assert text_of(pdf([r"f(x) = a\b"])) == r"f(x) = a\b"


def test_scanned_pdf_has_no_text() -> None:
    assert text_of(scanned_pdf(CERTIFICATE)) == ""


def test_locked_pdf_opens_with_its_password_only() -> None:
    content = locked_pdf(TRANSCRIPT)

    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(io.BytesIO(content))
    with pikepdf.open(io.BytesIO(content), password=PASSWORD) as document:
        assert len(document.pages) == 1
