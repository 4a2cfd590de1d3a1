"""Looking at a PDF: its structure with pikepdf, its pages with pdfium."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pikepdf
import pypdfium2
import pypdfium2.raw

from applications.verification.inspection import limits
from applications.verification.inspection.findings import (
    PDF_CHECKS,
    Finding,
    Inspection,
    Verdict,
    in_order,
)
from applications.verification.inspection.legibility import judge
from applications.verification.inspection.structure import Structure, examine

if TYPE_CHECKING:  # most PDFs have text, and then nothing is drawn
    from PIL import Image

# From worst to best known. One is named to the student: the way out is the same for all.
ACTIVITIES = ("launch", "javascript", "embedded_file", "media", "form", "automatic")
_PROTECTED = {pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY}

_OPEN = Finding("not_encrypted", "open", Verdict.PASSED)
_ENCRYPTED = Finding("not_encrypted", "password", Verdict.FAILED)
_DAMAGED = Finding("not_damaged", "pdf_damaged", Verdict.FAILED)


def inspect_pdf(content: bytes, deadline: float) -> Inspection:
    """Return the findings; reading scans ends at `deadline` (of the monotonic clock).

    Raises `TooComplex`.
    """
    try:
        structure = examine(content)
    except pikepdf.PasswordError:
        return _report([_ENCRYPTED])
    except pikepdf.PikepdfError:
        structure = None  # whether it is damaged is for pdfium to say
    found = [_OPEN, _activity(structure)]
    if structure is not None and not structure.pages:
        return _report([*found, _page_count(0)])
    try:
        with _opened(content) as document:
            # pdfium believes what a PDF says of its number of pages, qpdf has counted them.
            if structure is not None and structure.pages != len(document):
                return _report([_OPEN, _DAMAGED])
            return _inspect_pages(document, found, deadline)
    except pypdfium2.PdfiumError as error:
        if error.err_code in _PROTECTED:
            return _report([_ENCRYPTED])
        return _report([_DAMAGED] if structure is None else [_OPEN, _DAMAGED])


def picture_of_page(content: bytes, number: int) -> bytes | None:
    """Return page `number`, from 1, as PNG; None if it can't be drawn."""
    try:
        with _opened(content) as document:
            if not 1 <= number <= len(document):
                return None
            picture = _draw(document[number - 1], limits.PICTURE_PIXELS, grayscale=False)
    except pypdfium2.PdfiumError:
        return None
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _inspect_pages(
    document: pypdfium2.PdfDocument, found: list[Finding], deadline: float
) -> Inspection:
    count = len(document)
    found = [*found, _page_count(count)]
    if count > limits.MAX_PAGES:
        return _report(found, pages=count)
    texts = [_text(page) for page in document]

    def picture(index: int) -> Image.Image:
        return _draw(document[index], limits.OCR_PIXELS, grayscale=True)

    legible, text = judge(texts, picture, deadline)
    undamaged = Finding("not_damaged", "pdf_sound", Verdict.PASSED)
    return _report([*found, undamaged, legible], text, count)


def _report(found: list[Finding], text: str = "", pages: int = 0) -> Inspection:
    return Inspection(in_order(found, PDF_CHECKS), text, min(pages, limits.MAX_COUNTED_PAGES))


def _activity(structure: Structure | None) -> Finding:
    code = "no_active_content"
    if structure is None:
        return Finding(code, "unreadable", Verdict.NEEDS_REVIEW)
    for activity in ACTIVITIES:
        if activity in structure.activities:
            return Finding(code, activity, Verdict.FAILED)
    return Finding(code, "none", Verdict.PASSED)


def _page_count(pages: int) -> Finding:
    values = {"pages": pages, "limit": limits.MAX_PAGES}
    if not pages:
        return Finding("page_count", "no_pages", Verdict.FAILED, values)
    if pages > limits.MAX_PAGES:
        return Finding("page_count", "too_many", Verdict.FAILED, values)
    return Finding("page_count", "good", Verdict.PASSED, values)


@contextmanager
def _opened(content: bytes) -> Iterator[pypdfium2.PdfDocument]:
    document = pypdfium2.PdfDocument(content)
    try:
        yield document
    finally:
        document.close()


def _text(page: pypdfium2.PdfPage) -> str:
    """Return the text layer of a page, which is closed then."""
    try:
        layer = page.get_textpage()
        count = min(layer.count_chars(), limits.MAX_TEXT_CHARACTERS)
        text: str = layer.get_text_range(0, count) if count else ""
        layer.close()
        return text
    finally:
        page.close()


def _draw(page: pypdfium2.PdfPage, longest_side: int, *, grayscale: bool) -> Image.Image:
    """Return the picture of a page, which is closed then."""
    try:
        size = page.get_size()
        if not all(map(math.isfinite, size)):
            raise pypdfium2.PdfiumError("The page has no size.")
        scale = longest_side / max(*size, 1.0)
        bitmap = page.render(scale=scale, grayscale=grayscale)
        picture: Image.Image = bitmap.to_pil()
        return picture
    finally:
        page.close()
