"""Reading the text of a picture with Tesseract.

Tesseract is called here and not through pytesseract: it has to die with this program, it gets the
pixels without a temporary file, and importing that package costs as much as a small document.
"""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from applications.verification.inspection import limits
from applications.verification.inspection.confinement import die_with_parent

if TYPE_CHECKING:  # so that asking for languages costs nothing
    from PIL import Image

LANGUAGES = ("vie", "eng")
LIST_SECONDS = 5.0
_ROTATE = re.compile(rb"^Rotate: (90|180|270)$", re.MULTILINE)
_WORD = "5"  # the level of a word in Tesseract's table
_COLUMNS = 12


class OutOfTime(Exception):
    """The deadline came before Tesseract was done."""


class Failed(Exception):
    """Tesseract was ended by something else, or met an error: nothing is known of the page."""


@dataclass(frozen=True)
class Reading:
    """The text of a page, and how sure Tesseract is of its words: their mean, 0 to 100.

    `confidence` is None if it found no words.
    """

    text: str
    confidence: float | None


def available_languages() -> list[str]:
    """Return which of `LANGUAGES` Tesseract has here; none if it is not installed or fails."""
    try:
        return list(_languages())
    except (OSError, subprocess.SubprocessError):
        return []  # not remembered: it may be there the next time


def read(picture: Image.Image, deadline: float) -> Reading:
    """Return what stands on a grey picture, however it is turned by quarters.

    Raises `OutOfTime` at `deadline` (of the monotonic clock), and `Failed`.
    """
    turned = picture.rotate(-_turned_by(picture, deadline), expand=True)
    languages = "+".join(available_languages())
    table = _tesseract(turned, deadline, "--psm", "3", "-l", languages, "tsv")
    if table is None:
        raise Failed
    return _reading(table.decode())


@cache
def _languages() -> tuple[str, ...]:
    listed = subprocess.run(
        ["tesseract", "--list-langs"],  # noqa: S607 - wherever it is installed
        capture_output=True,
        timeout=LIST_SECONDS,
        check=True,
    )
    installed = listed.stdout.decode().split()
    return tuple(language for language in LANGUAGES if language in installed)


def _turned_by(picture: Image.Image, deadline: float) -> int:
    """Return by how many degrees, clockwise, the picture must be turned to stand upright."""
    small = picture.copy()
    small.thumbnail((limits.ORIENTATION_PIXELS, limits.ORIENTATION_PIXELS))
    # It fails if there is too little text to tell.
    found = _ROTATE.search(_tesseract(small, deadline, "--psm", "0", "-l", "osd") or b"")
    return int(found[1]) if found else 0


def _tesseract(picture: Image.Image, deadline: float, *options: str) -> bytes | None:
    """Return what Tesseract says; None if it fails."""
    # The resolution is no more than a hint, which spares it a guess and a warning.
    command = ["tesseract", "stdin", "stdout", "--dpi", "200", *options]
    pixels = b"P5 %d %d 255\n" % picture.size + picture.tobytes()  # the format PGM
    try:
        done = subprocess.run(  # noqa: S603 - nothing of the document is in it
            command,
            input=pixels,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=max(deadline - time.monotonic(), 0),
            preexec_fn=die_with_parent,  # noqa: PLW1509 - there is one thread
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OutOfTime from error
    return done.stdout if done.returncode == 0 else None


def _reading(table: str) -> Reading:
    """Put the words of Tesseract's table (TSV) together to lines."""
    lines: dict[tuple[str, ...], list[str]] = {}
    weighted = letters = 0.0
    for row in table.splitlines()[1:]:
        level, *place, _, _, _, _, _, confidence, word = row.split("\t", _COLUMNS - 1)
        count = sum(map(str.isalnum, word))
        if level == _WORD and count:
            lines.setdefault(tuple(place[:4]), []).append(word)
            weighted += float(confidence) * count
            letters += count
    text = "\n".join(" ".join(words) for words in lines.values())
    return Reading(text, weighted / letters if letters else None)
