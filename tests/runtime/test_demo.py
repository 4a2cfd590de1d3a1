from __future__ import annotations

import pypdfium2

from runtime.demo import timeline_lines
from runtime.sample_documents import TRANSCRIPT, pdf


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


def test_pdf_is_a_document_of_one_page() -> None:
    document = pypdfium2.PdfDocument(pdf(TRANSCRIPT))

    assert len(document) == 1
    document.close()
