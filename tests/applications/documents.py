"""Documents made for a test: real ones, and bytes that only begin like one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pikepdf
from PIL import Image, ImageDraw, ImageFont

PDF_HEAD = b"%PDF-1.7\n"
JPEG_HEAD = b"\xff\xd8\xff\xe0"
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
SENTENCE = "Transcript of records of the first year"
# What a scan shows unless a test says otherwise: letters with all kinds of diacritics.
SCANNED_LINES = (
    "Họ và tên: Nguyễn Thị Hương Giang",
    "Đại học Quốc gia Hà Nội",
    "Bảng điểm học kỳ một",
    "Transcript of records",
    "Toán cao cấp: chín phẩy năm",
    "Vật lý đại cương: tám phẩy bảy",
)
FONTS = Path("/usr/share/fonts/truetype/dejavu")
A4_PIXELS = (1240, 1754)  # at 150 dpi


def new_pdf(*, pages: int = 1, text: str = SENTENCE) -> pikepdf.Pdf:
    """Return a PDF to change and save, with this text on each of its pages."""
    document = pikepdf.new()
    font = pikepdf.Dictionary(
        Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
    )
    for _ in range(pages):
        page = document.add_blank_page(page_size=(400, 200))
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        page.Contents = document.make_stream(f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode())
    return document


def saved(document: pikepdf.Pdf, **save: Any) -> bytes:
    file = io.BytesIO()
    document.save(file, **save)
    return file.getvalue()


def pdf(*, pages: int = 1, text: str = SENTENCE, **save: Any) -> bytes:
    """Return a PDF with text; `save` goes to pikepdf, for example its encryption."""
    return saved(new_pdf(pages=pages, text=text), **save)


def encrypted_pdf(*, user: str, owner: str) -> bytes:
    return pdf(encryption=pikepdf.Encryption(user=user, owner=owner))


def scan(lines: Sequence[str] = SCANNED_LINES, *, turned_by: int = 0) -> Image.Image:
    """Return the picture of a page with these lines, turned by so many degrees to the left."""
    picture = Image.new("L", A4_PIXELS, 255)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((100, 120 + 70 * number), line, font=_font(36), fill=0)
    return picture.rotate(turned_by, expand=True)


def scanned_image(kind: str = "PNG", lines: Sequence[str] = SCANNED_LINES, **save: Any) -> bytes:
    """Return a JPEG or PNG that can be read; `save` goes to Pillow."""
    file = io.BytesIO()
    scan(lines).save(file, kind, **save)
    return file.getvalue()


def scanned_pdf(*pictures: Image.Image) -> bytes:
    """Return a PDF with a picture on each page and no text layer."""
    file = io.BytesIO()
    first, *others = pictures
    first.save(file, "PDF", save_all=True, append_images=others, resolution=150)
    return file.getvalue()


def image(kind: str, *, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> bytes:
    """Return a JPEG or PNG of noise, of this size in pixels; there is nothing to read in it."""
    file = io.BytesIO()
    Image.effect_noise(size, 50).convert(mode).save(file, kind)
    return file.getvalue()


def blank_image(*, size: tuple[int, int]) -> bytes:
    """Return a PNG of one colour, small in bytes however many pixels it has."""
    file = io.BytesIO()
    Image.new("1", size).save(file, "PNG")
    return file.getvalue()


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font that has the letters of Vietnamese if there is one."""
    path = FONTS / "DejaVuSans.ttf"
    return ImageFont.truetype(path, size) if path.exists() else ImageFont.load_default(size)
