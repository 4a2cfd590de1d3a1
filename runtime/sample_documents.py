"""PDF documents for the demo and for tests: written, scanned, and locked with a password."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pikepdf
from pikepdf import ContentStreamInstruction, Dictionary, Name, Operator, String
from PIL import Image, ImageDraw, ImageFont

POINTS = (595, 842)  # A4 at 72 points per inch
TEXT_SIZE, TEXT_LEADING, TEXT_MARGIN = 12, 20, 72  # points
PIXELS = (1654, 2339)  # A4 at 200 dots per inch, as scanners have it
SCAN_SIZE, SCAN_LEADING, SCAN_MARGIN = 44, 80, 180  # pixels
PASSWORD = "sesame"  # noqa: S105 - it protects nothing

TRANSCRIPT = (
    "Transcript of records",
    "Student: Demo Student",
    "Algorithms and data structures: A",
    "Operating systems: A minus",
    "Linear algebra: B plus",
    "Average: 3.7 of 4.0",
)
REFERENCE = (
    "Letter of reference",
    "To the admissions committee,",
    "Demo Student took part in my seminar on queueing theory last year",
    "and was never late, whatever the rate of arrivals.",
    "I recommend admission without reservation.",
)
CERTIFICATE = (
    "School leaving certificate",
    "This is to certify that Demo Student",
    "has passed the final examination",
    "in mathematics, physics and English",
    "with distinction.",
)


def pdf(lines: Sequence[str]) -> bytes:
    """Return a PDF of one page with these lines of Latin letters as text."""
    document = pikepdf.new()
    page = document.add_blank_page(page_size=POINTS)
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    page.Resources = Dictionary(Font=Dictionary(F1=font))
    top = POINTS[1] - TEXT_MARGIN
    text = [
        _instruction("BT"),
        _instruction("Tf", Name.F1, TEXT_SIZE),
        _instruction("TL", TEXT_LEADING),
        _instruction("Td", TEXT_MARGIN, top),
    ]
    for line in lines:
        text += [_instruction("Tj", String(line)), _instruction("T*")]
    text.append(_instruction("ET"))
    page.Contents = document.make_stream(pikepdf.unparse_content_stream(text))
    return _saved(document)


def scanned_pdf(lines: Sequence[str]) -> bytes:
    """Return a PDF of one page that is a picture of these lines: only OCR can read it."""
    page = Image.new("L", PIXELS, "white")
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=SCAN_SIZE)
    for number, line in enumerate(lines):
        place = (SCAN_MARGIN, SCAN_MARGIN + number * SCAN_LEADING)
        draw.text(place, line, fill="black", font=font)
    file = io.BytesIO()
    page.save(file, "PDF", resolution=200)
    return file.getvalue()


def locked_pdf(lines: Sequence[str]) -> bytes:
    """Return a PDF that opens with `PASSWORD` only."""
    with pikepdf.open(io.BytesIO(pdf(lines))) as document:
        return _saved(document, encryption=pikepdf.Encryption(user=PASSWORD, owner=PASSWORD))


def _instruction(operator: str, *operands: Any) -> ContentStreamInstruction:
    return ContentStreamInstruction(operands, Operator(operator))


def _saved(document: pikepdf.Pdf, *, encryption: pikepdf.Encryption | bool = False) -> bytes:
    file = io.BytesIO()
    document.save(file, encryption=encryption)
    return file.getvalue()
