"""PDF documents for the demo."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

PAGE = (1240, 1754)  # A4 at 150 dots per inch
MARGIN = 120
LINE = 56

TRANSCRIPT = (
    "Transcript of records",
    "Student: Alex Demo",
    "Algorithms and data structures      A",
    "Operating systems                   A-",
    "Linear algebra                      B+",
    "Average: 3.7 of 4.0",
)
REFERENCE = (
    "Letter of reference",
    "To the admissions committee,",
    "Alex Demo took part in my seminar on queueing theory last year",
    "and was never late, whatever the rate of arrivals.",
    "I recommend admission without reservation.",
)


def pdf(lines: tuple[str, ...]) -> bytes:
    """Return a PDF of one page with these lines drawn on it."""
    page = Image.new("RGB", PAGE, "white")
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=32)
    for number, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + number * LINE), line, fill="black", font=font)
    file = io.BytesIO()
    page.save(file, "PDF", resolution=150)
    return file.getvalue()
