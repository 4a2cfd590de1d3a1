"""Looking at a JPEG or PNG with Pillow."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager

from PIL import Image, ImageOps

from applications.verification.inspection import limits
from applications.verification.inspection.findings import (
    IMAGE_CHECKS,
    Finding,
    Inspection,
    TooComplex,
    Verdict,
    in_order,
)
from applications.verification.inspection.legibility import judge

# The size is looked at here, before anything is unpacked.
Image.MAX_IMAGE_PIXELS = None
_FORMATS = {"image/jpeg": ("JPEG",), "image/png": ("PNG",)}
# What can't be made smaller as it is.
_SHRINKABLE = {"1": "L", "P": "RGBA", "PA": "RGBA", "I;16": "L", "I": "L"}
_SIXTEEN_BITS = frozenset({"I;16", "I"})
BAND_ROWS = 64  # rows of the small image that are made at a time
# What Pillow raises for broken files: SyntaxError and ValueError for parts of PNG, others for EXIF.
_ERRORS = (OSError, SyntaxError, ValueError, struct.error, EOFError)
_DAMAGED = Finding("not_damaged", "image_damaged", Verdict.FAILED)


class Damaged(Exception):
    """The image can't be read."""


def inspect_image(content: bytes, content_type: str, deadline: float) -> Inspection:
    """Return the findings; reading its text ends at `deadline` (of the monotonic clock).

    Raises `TooComplex`.
    """
    try:
        with _opened(content, content_type) as image:
            dimensions = _dimensions(image)
            if dimensions.verdict == Verdict.FAILED:
                return Inspection(in_order([dimensions], IMAGE_CHECKS))
            small = _shrunk(image, limits.OCR_PIXELS, mode="L")
    except Damaged:
        return Inspection(in_order([_DAMAGED], IMAGE_CHECKS))
    undamaged = Finding("not_damaged", "image_sound", Verdict.PASSED)
    legible, text = judge([""], lambda _: small, deadline)
    return Inspection(in_order([undamaged, dimensions, legible], IMAGE_CHECKS), text, pages=1)


def picture_of_image(content: bytes, content_type: str) -> bytes | None:
    """Return the image as staff may see it: small, upright, without what the camera noted.

    None if it can't be read or is too large.
    """
    try:
        with _opened(content, content_type) as image:
            if _dimensions(image).verdict == Verdict.FAILED:
                return None
            small = _shrunk(image, limits.PICTURE_PIXELS, mode="RGB")
    except (Damaged, TooComplex):
        return None
    file = io.BytesIO()
    small.save(file, "PNG")
    return file.getvalue()


@contextmanager
def _opened(content: bytes, content_type: str) -> Iterator[Image.Image]:
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS[content_type])
        with closing(image):  # its pixels go too: Tesseract needs the memory
            yield image
    except _ERRORS as error:
        raise Damaged from error


def _dimensions(image: Image.Image) -> Finding:
    """Return whether the image, of which the header is read, has few enough pixels."""
    pixels = image.width * image.height
    if pixels > limits.BOMB_PIXELS:
        raise TooComplex("pixels")
    values = {"width": image.width, "height": image.height, "limit": limits.MAX_PIXELS // 10**6}
    if pixels > limits.MAX_PIXELS:
        return Finding("dimensions", "too_many_pixels", Verdict.FAILED, values)
    return Finding("dimensions", "good", Verdict.PASSED, values)


def _shrunk(image: Image.Image, longest_side: int, *, mode: str) -> Image.Image:
    """Read the whole image and return a small one: upright, without transparency or metadata.

    A JPEG is shrunk as it is read, which saves most of the memory it would need.
    """
    is_heavy = _is_heavy(image)
    image.draft(mode, (longest_side, longest_side))
    try:
        image.load()
    except OSError as error:
        if is_heavy:
            raise TooComplex("pixels") from error
        raise
    factor = max(image.size) // longest_side
    small = _reduced(image, factor) if factor > 1 else _shrinkable(image)
    small.thumbnail((longest_side, longest_side))
    return _on_white(_upright(small)).convert(mode)


def _is_heavy(image: Image.Image) -> bool:
    """Tell whether libjpeg may get too little memory for it, which Pillow reports as damage.

    It holds all of a progressive JPEG, and there is no room for four colours of so many pixels.
    """
    is_progressive = image.mode == "CMYK" and "progressive" in image.info
    return is_progressive and image.width * image.height > limits.MAX_PIXELS // 2


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """Return the image with sides divided by `factor`, rounded up.

    Band by band: on the way pixels take four bytes and more, which all at once are too many.
    """
    size = (math.ceil(image.width / factor), math.ceil(image.height / factor))
    small = Image.new(_SHRINKABLE.get(image.mode, image.mode), size)
    for top in range(0, size[1], BAND_ROWS):
        bottom = min((top + BAND_ROWS) * factor, image.height)
        band = image.crop((0, top * factor, image.width, bottom))
        small.paste(_shrinkable(band).reduce(factor), (0, top))
    small.info = dict(image.info)  # how a camera was held is in it
    return small


def _shrinkable(image: Image.Image) -> Image.Image:
    """Return the pixels in a mode in which neighbours can be averaged."""
    if image.mode in _SIXTEEN_BITS:
        # Pillow would cut off what is above 255, and nearly all would be white.
        image = image.point(lambda value: value * (1 / 256))
    mode = _SHRINKABLE.get(image.mode)
    return image.convert(mode) if mode else image


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _ERRORS:
        return image  # what the camera noted is broken, not the image


def _on_white(image: Image.Image) -> Image.Image:
    """Return the pixels alone, over white where they are transparent."""
    image.info.clear()
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
