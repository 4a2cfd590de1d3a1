"""Documents made for a test: real ones, and bytes that only begin like one."""

from __future__ import annotations

import io
from typing import Any

import pikepdf
from PIL import Image

PDF_HEAD = b"%PDF-1.7\n"
JPEG_HEAD = b"\xff\xd8\xff\xe0"
PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def pdf(*, pages: int = 1, **save: Any) -> bytes:
    """Return a PDF with blank pages; `save` goes to pikepdf, for example its encryption."""
    document = pikepdf.new()
    for _ in range(pages):
        document.add_blank_page(page_size=(200, 200))
    file = io.BytesIO()
    document.save(file, **save)
    return file.getvalue()


def encrypted_pdf(*, user: str, owner: str) -> bytes:
    return pdf(encryption=pikepdf.Encryption(user=user, owner=owner))


def image(kind: str, *, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> bytes:
    """Return a JPEG or PNG of this size in pixels."""
    file = io.BytesIO()
    Image.effect_noise(size, 50).convert(mode).save(file, kind)
    return file.getvalue()


def blank_image(*, size: tuple[int, int]) -> bytes:
    """Return a PNG of one colour, small in bytes however many pixels it has."""
    file = io.BytesIO()
    Image.new("1", size).save(file, "PNG")
    return file.getvalue()
