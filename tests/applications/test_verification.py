from __future__ import annotations

import pytest

from applications.verification import malware, sandbox
from applications.verification.report import Check, Document, Report, Verdict, state_of, verify
from applications.verification.sandbox import InspectionFailed
from tests.applications.documents import encrypted_pdf, image, pdf, scanned_image
from tests.applications.hostile import (
    CORPUS,
    MAX_FILE_BYTES,
    Hostile,
    eicar,
    with_missing_page,
)

PDF = "application/pdf"
COMMON = {
    "not_empty": "passed",
    "size": "passed",
    "type": "passed",
    "malware": "not_checked",
    "not_duplicate": "passed",
}


@pytest.fixture(autouse=True)
def no_scanner(settings):
    settings.CLAMD_ADDRESS = ""


def check(
    content: bytes, *, name: str = "file.pdf", content_type: str = PDF, **document: str
) -> Report:
    known = {"declared_type": content_type, **document}
    return verify(Document(content=content, name=name, content_type=content_type, **known))


def verdicts(report: Report) -> dict[str, str]:
    return {check.code: check.verdict.value for check in report.checks}


def failures(report: Report) -> list[str]:
    return [check.code for check in report.checks if check.verdict == Verdict.FAILED]


def test_verify_says_a_sentence_on_each_check_of_a_good_pdf():
    report = check(pdf(pages=3, text="Transcript of records 2026"))

    assert report == Report(
        [
            Check("not_empty", Verdict.PASSED, "The file is not empty."),
            Check("size", Verdict.PASSED, "The file is not too large."),
            Check("type", Verdict.PASSED, "The file is what its name says."),
            Check("malware", Verdict.NOT_CHECKED, "The file was not searched for malware."),
            Check(
                "not_duplicate",
                Verdict.PASSED,
                "No other file of your application is the same.",
            ),
            Check("not_encrypted", Verdict.PASSED, "The PDF opens without a password."),
            Check("not_damaged", Verdict.PASSED, "Every page of the PDF can be opened."),
            Check("page_count", Verdict.PASSED, "Pages: 3."),
            Check("no_active_content", Verdict.PASSED, "The PDF does nothing by itself."),
            Check("legible", Verdict.PASSED, "The text can be read."),
        ],
        text="\n\n".join(["Transcript of records 2026"] * 3),
        pages=3,
    )
    assert state_of(report.checks) == "verified"


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_verify_gives_each_hostile_file_its_own_finding(hostile: Hostile):
    report = check(hostile.build(), name=hostile.file_name, content_type=hostile.content_type)

    assert failures(report) == [hostile.finding] * bool(hostile.finding)


def test_verify_checks_nothing_more_of_an_empty_file():
    report = check(b"")

    assert {code: verdict for code, verdict in verdicts(report).items() if code in COMMON} == {
        "not_empty": "failed",
        "size": "not_checked",
        "type": "not_checked",
        "malware": "not_checked",
        "not_duplicate": "not_checked",
    }
    assert set(list(verdicts(report).values())[1:]) == {"not_checked"}


def test_verify_opens_no_pdf_that_needs_a_password():
    report = check(encrypted_pdf(user="secret", owner="owner"))

    assert verdicts(report) == {
        **COMMON,
        "not_encrypted": "failed",
        "not_damaged": "not_checked",
        "page_count": "not_checked",
        "no_active_content": "not_checked",
        "legible": "not_checked",
    }
    assert report.checks[5].detail == (
        "The PDF is protected with a password. Save it without one and send it again."
    )


def test_verify_reports_what_is_too_complex_before_what_it_made_impossible():
    bomb = next(hostile for hostile in CORPUS if hostile.name == "stream bomb")

    report = check(bomb.build())

    assert list(verdicts(report).items()) == [
        *COMMON.items(),
        ("too_complex", "failed"),
        ("not_encrypted", "not_checked"),
        ("not_damaged", "not_checked"),
        ("page_count", "not_checked"),
        ("no_active_content", "not_checked"),
        ("legible", "not_checked"),
    ]


def test_verify_says_that_a_file_has_too_many_parts():
    many = next(hostile for hostile in CORPUS if hostile.name == "many objects")

    report = check(many.build())

    assert report.checks[5].detail == (
        "The file is made of too many parts. Save it anew with fewer or smaller contents, or send a "
        "scan."
    )


def test_verify_leaves_a_pdf_that_only_pdfium_can_read_to_staff():
    report = check(with_missing_page())

    assert {**verdicts(report), "legible": ""} == {
        **COMMON,
        "not_encrypted": "passed",
        "not_damaged": "passed",
        "page_count": "passed",
        "no_active_content": "needs_review",
        "legible": "",
    }
    assert (report.pages, state_of(report.checks)) == (1, "needs_review")


def test_verify_reports_the_checks_of_an_image():
    report = check(image("JPEG")[:-200], name="a.jpeg", content_type="image/jpeg")

    assert verdicts(report) == {
        **COMMON,
        "not_damaged": "failed",
        "dimensions": "not_checked",
        "legible": "not_checked",
    }


@pytest.mark.parametrize(
    ("name", "declared_type", "verdict"),
    [
        ("photo.png", "image/png", "passed"),
        ("PHOTO.PNG", "", "passed"),
        ("photo.png", "application/octet-stream", "passed"),
        ("photo.jpg", "image/png", "failed"),
        ("photo.jfif", "image/png", "failed"),
        ("photo", "image/png", "failed"),
        ("photo.png", "image/jpeg", "failed"),
        ("photo.png", "text/html", "failed"),
        ("photo\x00.png", "image/png", "passed"),
        ("photo\u202egnp.exe", "image/png", "failed"),  # shown as photoexe.png
    ],
)
def test_verify_compares_content_with_name_and_declared_type(name, declared_type, verdict):
    report = check(
        scanned_image(), name=name, content_type="image/png", declared_type=declared_type
    )

    assert verdicts(report)["type"] == verdict


def test_verify_finds_content_that_changed_its_type_since_it_came_in():
    report = check(image("PNG"), name="a.png", content_type=PDF, declared_type="image/png")

    assert failures(report) == ["type"]


def test_verify_names_the_file_that_is_the_same():
    report = check(pdf(), duplicate_of="first 100%.pdf")

    assert failures(report) == ["not_duplicate"]
    assert report.checks[4].detail == (
        "This file is the same as first 100%.pdf. Send the document that you meant to send."
    )


@pytest.mark.parametrize(("size", "verdict"), [(0, "passed"), (1, "failed")])
def test_verify_limits_the_size(size, verdict):
    assert verdicts(check(pdf().ljust(MAX_FILE_BYTES + size)))["size"] == verdict


@pytest.mark.parametrize(
    ("found", "verdict", "legible"),
    [
        (malware.Scan.CLEAN, "passed", "passed"),
        (malware.Scan.LIMITS_EXCEEDED, "needs_review", "passed"),
        (malware.Scan.INFECTED, "failed", "not_checked"),
    ],
)
def test_verify_parses_nothing_that_is_infected(monkeypatch, found, verdict, legible):
    monkeypatch.setattr(malware, "scan", lambda content: found)

    report = check(pdf())

    assert verdicts(report)["malware"] == verdict
    assert verdicts(report)["legible"] == legible


def test_verify_does_not_take_a_scanner_that_is_down_for_a_clean_file(settings, tmp_path):
    settings.CLAMD_ADDRESS = str(tmp_path / "nobody.sock")

    with pytest.raises(malware.ScannerUnavailable):
        check(eicar())


def test_verify_does_not_take_a_failed_inspection_for_a_finding(monkeypatch):
    monkeypatch.setattr(sandbox, "WALL_SECONDS", 0.0)

    with pytest.raises(InspectionFailed):
        check(pdf())
