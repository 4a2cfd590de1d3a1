"""Reading scans with the real Tesseract, and living without it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from applications.verification.inspection import limits, ocr
from applications.verification.inspection.findings import Finding, Inspection, Verdict
from applications.verification.inspection.image import inspect_image
from applications.verification.inspection.pdf import inspect_pdf
from applications.verification.sandbox import inspect
from applications.verification.sentences import sentence
from tests.applications.documents import (
    FONTS,
    SCANNED_LINES,
    image,
    new_pdf,
    pdf,
    saved,
    scan,
    scanned_image,
    scanned_pdf,
)

PDF = "application/pdf"
LIST = "print('List of languages (3):\\neng\\nosd\\ndeu')"
# On the monotonic clock. How fast this machine reads is not what is tested.
LONG_AGO, NEVER = 0.0, time.monotonic() + 600.0


@pytest.fixture
def tesseract() -> None:
    """Where it, or a font to draw a scan with, is missing the test is skipped, in CI it fails."""
    if shutil.which("tesseract") and ocr.available_languages() == ["vie", "eng"] and FONTS.exists():
        return
    reason = "apt install tesseract-ocr tesseract-ocr-vie fonts-dejavu-core to test reading scans"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def without_tesseract(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def fake_tesseract(monkeypatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Puts a program in the place of Tesseract."""

    def install(program: str) -> None:
        (tmp_path / "tesseract").write_text(f"#!{sys.executable}\n{program}\n")
        (tmp_path / "tesseract").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    ocr._languages.cache_clear()
    yield install
    ocr._languages.cache_clear()


def legible(inspection: Inspection) -> Finding:
    return next(finding for finding in inspection.findings if finding.code == "legible")


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize("turned_by", [0, 90, 180, 270])
def test_inspect_reads_a_scan_with_its_diacritics_however_it_is_turned(turned_by):
    inspection = inspect_pdf(scanned_pdf(scan(turned_by=turned_by)), NEVER)

    assert inspection.text == "\n".join(SCANNED_LINES)
    assert legible(inspection) == Finding(
        "legible", "scan", Verdict.PASSED, {"read": 1, "scans": 1}
    )


@pytest.mark.usefixtures("tesseract")
def test_inspect_reads_an_image_in_the_sandbox():
    inspection = inspect(scanned_image("JPEG", SCANNED_LINES[:2]), content_type="image/jpeg")

    assert (inspection.text, inspection.pages) == ("\n".join(SCANNED_LINES[:2]), 1)


@pytest.mark.usefixtures("tesseract")
def test_inspect_leaves_noise_to_a_human():
    inspection = inspect_image(image("PNG", size=(400, 300)), "image/png", NEVER)

    assert (legible(inspection).finding, legible(inspection).verdict) == (
        "hard_to_read",
        Verdict.NEEDS_REVIEW,
    )


@pytest.mark.usefixtures("tesseract")
def test_inspect_reads_three_scanned_pages_and_says_how_many_there_are():
    pages = [scan(SCANNED_LINES[:3]) for _ in range(limits.OCR_PAGES + 1)]

    finding = legible(inspect_pdf(scanned_pdf(*pages), NEVER))

    assert finding == Finding(
        "legible", "part_of_scan", Verdict.NOT_CHECKED, {"read": 3, "scans": 4}
    )
    assert sentence(finding) == (
        "We read 3 of 4 scanned pages, and their text can be read. The others were not checked."
    )


@pytest.mark.usefixtures("tesseract")
def test_inspect_does_not_mind_a_blank_page_among_scans():
    finding = legible(inspect_pdf(scanned_pdf(scan(SCANNED_LINES[:3]), scan(())), NEVER))

    assert finding == Finding("legible", "scan", Verdict.PASSED, {"read": 2, "scans": 2})


@pytest.mark.usefixtures("tesseract")
def test_inspect_does_not_mind_a_blank_page_behind_text():
    document = new_pdf()
    document.add_blank_page(page_size=(400, 200))

    finding = legible(inspect_pdf(saved(document), NEVER))

    assert finding == Finding("legible", "text", Verdict.PASSED, {"read": 1, "scans": 1})


@pytest.mark.usefixtures("tesseract")
def test_inspect_leaves_a_document_without_a_word_to_a_human():
    finding = legible(inspect_pdf(scanned_pdf(scan(()), scan(())), NEVER))

    assert finding == Finding(
        "legible", "hard_to_read", Verdict.NEEDS_REVIEW, {"read": 2, "scans": 2}
    )


@pytest.mark.usefixtures("tesseract")
def test_inspect_says_that_there_was_no_time_to_read():
    finding = legible(inspect_pdf(scanned_pdf(scan()), LONG_AGO))

    assert finding == Finding("legible", "no_time", Verdict.NOT_CHECKED, {"read": 0, "scans": 1})


@pytest.mark.usefixtures("tesseract")
def test_read_ends_at_its_deadline():
    with pytest.raises(ocr.OutOfTime):
        ocr.read(Image.new("L", (100, 100), 255), LONG_AGO)


@pytest.mark.parametrize("end", ["sys.exit(1)", "os.kill(os.getpid(), 9)"])
def test_inspect_does_not_lay_a_failure_of_tesseract_at_the_scan(fake_tesseract, end):
    fake_tesseract(f"import os, sys\nif '--list-langs' in sys.argv: {LIST}\nelse: {end}")

    finding = legible(inspect_pdf(scanned_pdf(scan()), NEVER))

    assert finding == Finding(
        "legible", "reader_failed", Verdict.NOT_CHECKED, {"read": 0, "scans": 1}
    )
    assert sentence(finding) == (
        "There are scanned pages. Our program could not read them, so this was not checked."
    )


@pytest.mark.usefixtures("without_tesseract")
def test_inspect_does_not_check_scans_without_tesseract():
    inspection = inspect(scanned_pdf(scan()), content_type=PDF)

    assert legible(inspection) == Finding("legible", "no_reader", Verdict.NOT_CHECKED)


@pytest.mark.usefixtures("without_tesseract")
def test_inspect_reads_text_layers_without_tesseract():
    inspection = inspect(pdf(text="Transcript of records 2026"), content_type=PDF)

    assert inspection.text == "Transcript of records 2026"
    assert legible(inspection) == Finding("legible", "text", Verdict.PASSED)


@pytest.mark.parametrize(("count", "finding"), [(19, False), (20, True)])
def test_inspect_takes_a_page_with_little_text_for_a_scan(without_tesseract, count, finding):
    inspection = inspect(pdf(text="a " * count), content_type=PDF)

    assert (legible(inspection).finding == "text") is finding


@pytest.mark.usefixtures("without_tesseract")
def test_inspect_keeps_only_so_much_text():
    inspection = inspect(pdf(pages=50, text="x" * 1000), content_type=PDF)

    assert len(inspection.text) == limits.MAX_TEXT_CHARACTERS


def test_available_languages_are_those_that_are_needed(fake_tesseract):
    fake_tesseract(LIST)

    assert ocr.available_languages() == ["eng"]


def test_available_languages_are_asked_for_again_after_a_failure(fake_tesseract):
    fake_tesseract("raise SystemExit(1)")
    before = ocr.available_languages()
    fake_tesseract(LIST)

    assert (before, ocr.available_languages()) == ([], ["eng"])
