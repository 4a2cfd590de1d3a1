"""Checking a document: opens it with a real parser and reports check by check.

An error (the file can't be read from the storage) is raised and retried; a finding (the PDF is
encrypted) is a check that failed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import pikepdf
import pypdfium2
from PIL import Image

from applications.models import DocumentsState

MAX_PAGES = 50
MAX_PIXELS = 40_000_000
# What Pillow raises for images that it can't read: SyntaxError for some broken PNG files, ValueError
# for ones that unpack to too much.
_IMAGE_ERRORS = (OSError, SyntaxError, ValueError)


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NEEDS_REVIEW = "needs_review"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True)
class Check:
    """One thing looked at; `detail` is a sentence for the student."""

    code: str
    verdict: Verdict
    detail: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def verify(file: Any, *, content_type: str) -> list[Check]:
    """Return the checks of a document, in order; the first failure ends them."""
    checks = _PDF_CHECKS if content_type == "application/pdf" else _IMAGE_CHECKS
    # Read here, at once: the parsers would report an error of the storage as a damaged document.
    content = file.read()
    report: list[Check] = []
    for check in checks:
        report.append(check(io.BytesIO(content)))
        if report[-1].verdict == Verdict.FAILED:
            break
    return report


def state_of(report: Sequence[Check]) -> DocumentsState:
    """Return what the report makes of the document."""
    verdicts = {check.verdict for check in report}
    if Verdict.FAILED in verdicts:
        return DocumentsState.FAILED
    if Verdict.NEEDS_REVIEW in verdicts:
        return DocumentsState.NEEDS_REVIEW
    return DocumentsState.VERIFIED


def _pdf_encryption(file: Any) -> Check:
    code = "not_encrypted"
    try:
        with pikepdf.open(file):
            pass
    except pikepdf.PasswordError:
        detail = "The PDF is protected with a password. Save it without one and send it again."
        return Check(code, Verdict.FAILED, detail)
    except (pikepdf.PdfError, RuntimeError):
        # Damaged: pikepdf repairs what it can, so the next check is the one that decides.
        return Check(code, Verdict.NOT_CHECKED, "We could not tell whether it is protected.")
    return Check(code, Verdict.PASSED, "The PDF opens without a password.")


def _pdf_readable(file: Any) -> Check:
    code = "readable"
    try:
        document = pypdfium2.PdfDocument(file)
        try:
            for page in document:
                page.close()
        finally:
            document.close()
    except pypdfium2.PdfiumError:
        detail = "The PDF is damaged. Create it anew or scan the document again."
        return Check(code, Verdict.FAILED, detail)
    return Check(code, Verdict.PASSED, "Every page of the PDF can be opened.")


def _pdf_pages(file: Any) -> Check:
    document = pypdfium2.PdfDocument(file)
    try:
        pages = len(document)
    finally:
        document.close()
    if not 1 <= pages <= MAX_PAGES:
        detail = f"The PDF has {pages} pages; between 1 and {MAX_PAGES} are accepted."
        return Check("page_count", Verdict.FAILED, detail)
    return Check("page_count", Verdict.PASSED, f"Pages: {pages}.")


def _image_dimensions(file: Any) -> Check:
    code = "dimensions"
    try:
        # Opening reads the header only; a bomb is not unpacked for this.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file)
    except Image.DecompressionBombError:
        return Check(code, Verdict.FAILED, _too_many_pixels())
    except _IMAGE_ERRORS:
        return Check(code, Verdict.FAILED, "The image is damaged. Take or scan it again.")
    if image.width * image.height > MAX_PIXELS:
        return Check(code, Verdict.FAILED, _too_many_pixels())
    return Check(code, Verdict.PASSED, f"The image has {image.width} × {image.height} pixels.")


def _too_many_pixels() -> str:
    limit = MAX_PIXELS // 1_000_000
    return f"The image has more than {limit} megapixels. Save it in a smaller size."


def _image_readable(file: Any) -> Check:
    code = "readable"
    try:
        with Image.open(file) as image:
            image.load()
    except _IMAGE_ERRORS:
        return Check(code, Verdict.FAILED, "The image is damaged. Take or scan it again.")
    return Check(code, Verdict.PASSED, "The whole image can be read.")


_PDF_CHECKS: tuple[Callable[[Any], Check], ...] = (
    _pdf_encryption,
    _pdf_readable,
    _pdf_pages,
)
_IMAGE_CHECKS: tuple[Callable[[Any], Check], ...] = (_image_dimensions, _image_readable)
