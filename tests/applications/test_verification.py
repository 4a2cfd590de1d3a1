from __future__ import annotations

import io
import struct
import zlib

import pytest

from applications.verification import Check, Verdict, state_of, verify
from tests.applications.documents import (
    PDF_HEAD,
    PNG_HEAD,
    blank_image,
    encrypted_pdf,
    image,
    pdf,
)

PNG_SIGNATURE_AND_HEADER = 33  # bytes


def verdicts(content: bytes, content_type: str) -> dict[str, str]:
    report = verify(io.BytesIO(content), content_type=content_type)
    return {check.code: check.verdict.value for check in report}


def test_verify_accepts_a_good_pdf():
    report = verify(io.BytesIO(pdf(pages=3)), content_type="application/pdf")

    assert report == [
        Check("not_encrypted", Verdict.PASSED, "The PDF opens without a password."),
        Check("readable", Verdict.PASSED, "Every page of the PDF can be opened."),
        Check("page_count", Verdict.PASSED, "Pages: 3."),
    ]
    assert state_of(report) == "verified"


@pytest.mark.parametrize(("pages", "verdict"), [(50, "passed"), (51, "failed")])
def test_verify_limits_the_pages(pages, verdict):
    assert verdicts(pdf(pages=pages), "application/pdf") == {
        "not_encrypted": "passed",
        "readable": "passed",
        "page_count": verdict,
    }


def test_verify_finds_a_pdf_that_needs_a_password():
    content = encrypted_pdf(user="secret", owner="owner")

    report = verify(io.BytesIO(content), content_type="application/pdf")

    assert [(check.code, check.verdict) for check in report] == [("not_encrypted", "failed")]
    assert "password" in report[0].detail
    assert state_of(report) == "failed"


def test_verify_accepts_a_pdf_with_an_owner_password_only():
    content = encrypted_pdf(user="", owner="owner")

    assert set(verdicts(content, "application/pdf").values()) == {"passed"}


@pytest.mark.parametrize(
    "content",
    [b"", PDF_HEAD, PDF_HEAD + b"<html></html>", pdf()[:200]],
    ids=["empty", "head only", "html behind the head", "truncated"],
)
def test_verify_finds_a_damaged_pdf(content):
    assert verdicts(content, "application/pdf") == {
        "not_encrypted": "not_checked",
        "readable": "failed",
    }


def test_verify_finds_a_pdf_without_pages():
    report = verify(io.BytesIO(pdf(pages=0)), content_type="application/pdf")

    assert state_of(report) == "failed"


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (image("JPEG"), "image/jpeg"),
        (image("JPEG", mode="CMYK"), "image/jpeg"),
        (image("PNG"), "image/png"),
        (image("PNG", mode="RGBA"), "image/png"),
    ],
)
def test_verify_accepts_a_good_image(content, content_type):
    report = verify(io.BytesIO(content), content_type=content_type)

    assert report == [
        Check("dimensions", Verdict.PASSED, "The image has 40 × 30 pixels."),
        Check("readable", Verdict.PASSED, "The whole image can be read."),
    ]


@pytest.mark.parametrize(
    ("content", "failed"),
    [
        (b"", "dimensions"),
        (PNG_HEAD, "dimensions"),
        (image("PNG")[:500], "readable"),
        (image("JPEG")[:-200], "readable"),
    ],
)
def test_verify_finds_a_damaged_image(content, failed):
    report = verify(io.BytesIO(content), content_type="image/png")

    assert (report[-1].code, report[-1].verdict) == (failed, "failed")
    assert "damaged" in report[-1].detail


@pytest.mark.parametrize(
    ("size", "verdict"),
    [
        ((8000, 5000), "passed"),
        ((8000, 5001), "failed"),
        ((10_000, 9_000), "failed"),  # Pillow warns
        ((20_000, 10_000), "failed"),  # Pillow refuses
    ],
)
def test_verify_limits_the_pixels_of_an_image(size, verdict):
    assert verdicts(blank_image(size=size), "image/png")["dimensions"] == verdict


@pytest.mark.parametrize("chunk", [b"zTXt", b"iCCP"])
def test_verify_finds_an_image_whose_text_unpacks_to_too_much(chunk):
    bomb = _chunk(chunk, b"name\x00\x00" + zlib.compress(bytes(2 * 1024 * 1024)))
    good = image("PNG")
    content = good[:PNG_SIGNATURE_AND_HEADER] + bomb + good[PNG_SIGNATURE_AND_HEADER:]

    assert verdicts(content, "image/png") == {"dimensions": "failed"}


@pytest.mark.parametrize("content_type", ["application/pdf", "image/png", "image/jpeg"])
@pytest.mark.parametrize("reads", [0, 1])
def test_verify_raises_an_error_of_the_storage(content_type, reads):
    """It is retried; a student must not be told that a good document is damaged."""
    good = pdf(pages=20) if content_type == "application/pdf" else image("PNG", size=(400, 400))

    with pytest.raises(OSError, match="disk"):
        verify(FailingFile(good, good_reads=reads), content_type=content_type)


class FailingFile(io.RawIOBase):
    """A file on a disk that breaks after some reads."""

    def __init__(self, content: bytes, *, good_reads: int) -> None:
        super().__init__()
        self._content = io.BytesIO(content)
        self._good_reads = good_reads

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()

    def readinto(self, buffer):
        if self._good_reads == 0:
            raise OSError("the disk is broken")
        self._good_reads -= 1
        return self._content.readinto(memoryview(buffer)[:1024])


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum
