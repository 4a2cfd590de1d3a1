"""What an inspection finds, in words that two programs and a table of sentences share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from applications.verification.inspection.limits import MAX_COUNTED_PAGES

# How the program of this package ends if it has no answer.
EXIT_TOO_COMPLEX = 3
EXIT_NO_PICTURE = 4

PDF = "application/pdf"
# What is looked at in the document itself, in the order of the report.
PDF_CHECKS = ("not_encrypted", "not_damaged", "page_count", "no_active_content", "legible")
IMAGE_CHECKS = ("not_damaged", "dimensions", "legible")


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NEEDS_REVIEW = "needs_review"
    NOT_CHECKED = "not_checked"


class TooComplex(Exception):
    """The document is made to exhaust who opens it; its argument is the finding."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check: `finding` says why the verdict is this one, `values` how much."""

    code: str
    finding: str
    verdict: Verdict
    values: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Inspection:
    """All findings of a document, its text as far as it could be read, and how many pages it has.

    `pages` is at most `MAX_COUNTED_PAGES`, also of a document with more.
    """

    findings: tuple[Finding, ...]
    text: str = ""
    pages: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Inspection:
        """Take what `as_json` gave; `KeyError`, `TypeError` or `ValueError` for anything else."""
        findings = tuple(_finding(**finding) for finding in value["findings"])
        text, pages = value["text"], value["pages"]
        if not isinstance(text, str) or not isinstance(pages, int):
            raise TypeError("text and pages are not what they have to be")
        if not 0 <= pages <= MAX_COUNTED_PAGES:
            raise ValueError("there can't be so many pages")
        return cls(findings, text, pages)


def checks_of(content_type: str) -> tuple[str, ...]:
    """Return the codes of the checks that a document of this type gets here."""
    return PDF_CHECKS if content_type == PDF else IMAGE_CHECKS


def in_order(found: list[Finding], codes: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return one finding for each code; those that are missing were not checked."""
    by_code = {finding.code: finding for finding in found}
    return tuple(by_code.get(code) or not_checked(code) for code in codes)


def not_checked(code: str) -> Finding:
    """Return the finding of a check that another one's failure has made impossible."""
    return Finding(code, "impossible", Verdict.NOT_CHECKED)


def too_complex(finding: str, content_type: str) -> Inspection:
    """Return the inspection of a document that is too complex: nothing else is known of it."""
    failed = Finding("too_complex", finding, Verdict.FAILED)
    return Inspection((failed, *in_order([], checks_of(content_type))))


def _finding(code: str, finding: str, verdict: str, values: dict[str, int]) -> Finding:
    if not all(isinstance(value, int) for value in values.values()):
        raise TypeError("the values of a finding are numbers")
    return Finding(code, finding, Verdict(verdict), values)
