"""Can a human read this? From the text layer of each page, or from what Tesseract makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from applications.verification.inspection import limits, ocr
from applications.verification.inspection.findings import Finding, Verdict

if TYPE_CHECKING:  # most PDFs have text, and then nothing is drawn
    from PIL import Image


def judge(
    layers: Sequence[str], picture: Callable[[int], Image.Image], deadline: float
) -> tuple[Finding, str]:
    """Return the finding and the text of a document, from the text layer of each page.

    `picture` draws the page with an index, in grey. It is called only for pages without text, for
    `OCR_PAGES` of them at most, and until `deadline` (of the monotonic clock).
    """
    scans = [index for index, layer in enumerate(layers) if not _is_text(layer)]
    if not scans:
        return Finding("legible", "text", Verdict.PASSED), _joined(layers)
    if not ocr.available_languages():
        return Finding("legible", "no_reader", Verdict.NOT_CHECKED), _joined(layers)
    readings, obstacle = _read(scans, picture, deadline)
    texts = [readings[i].text if i in readings else layer for i, layer in enumerate(layers)]
    if not readings:
        values = {"read": 0, "scans": len(scans)}
        return Finding("legible", obstacle, Verdict.NOT_CHECKED, values), _joined(texts)
    has_text = len(scans) < len(layers)
    return _finding(len(scans), list(readings.values()), has_text=has_text), _joined(texts)


def _finding(scans: int, readings: list[ocr.Reading], *, has_text: bool) -> Finding:
    """Return the finding; `has_text` says that there are pages with a text layer too."""
    values = {"read": len(readings), "scans": scans}
    # A page without words may be blank, as the back of another. One that can't be read looks the
    # same, so a document that has no other pages needs a human.
    confidences = [reading.confidence for reading in readings if reading.confidence is not None]
    is_empty = not confidences and not has_text
    if is_empty or any(confidence < limits.MIN_CONFIDENCE for confidence in confidences):
        return Finding("legible", "hard_to_read", Verdict.NEEDS_REVIEW, values)
    if len(readings) < scans:
        return Finding("legible", "part_of_scan", Verdict.NOT_CHECKED, values)
    return Finding("legible", "scan" if confidences else "text", Verdict.PASSED, values)


def _read(
    scans: list[int], picture: Callable[[int], Image.Image], deadline: float
) -> tuple[dict[int, ocr.Reading], str]:
    """Return the readings by their pages' indices, and the finding if there are none."""
    readings: dict[int, ocr.Reading] = {}
    try:
        for index in scans[: limits.OCR_PAGES]:
            readings[index] = ocr.read(picture(index), deadline)
    except ocr.OutOfTime:
        return readings, "no_time"
    except ocr.Failed:
        return readings, "reader_failed"
    return readings, ""


def _is_text(layer: str) -> bool:
    return sum(map(str.isalnum, layer)) >= limits.MIN_TEXT_CHARACTERS


def _joined(texts: Sequence[str]) -> str:
    """Return the text as PostgreSQL can hold it: no NUL, no half of a surrogate pair, not long."""
    text = "\n\n".join(text.strip() for text in texts).replace("\x00", "").replace("\r\n", "\n")
    return text[: limits.MAX_TEXT_CHARACTERS].encode("utf-8", "ignore").decode().strip()
