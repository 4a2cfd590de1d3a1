"""Checking a document: a report, check by check, with a sentence for the student on each.

An error (the scanner is down, the machine is overloaded) is raised and retried; a finding (the PDF
is encrypted) is a check that failed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from django.conf import settings

from applications.models import DocumentsState
from applications.validation import type_of
from applications.verification import malware, sandbox
from applications.verification.inspection.findings import Finding, Inspection, checks_of, in_order
from applications.verification.inspection.findings import (
    Verdict as Verdict,  # reports are made of these
)
from applications.verification.sentences import sentence

COMMON_CHECKS = ("not_empty", "size", "type", "malware", "not_duplicate")
# The check in the report of a document that has no other: every attempt at them has failed.
GAVE_UP = "checked"
_SCANS = {
    malware.Scan.CLEAN: Verdict.PASSED,
    malware.Scan.INFECTED: Verdict.FAILED,
    malware.Scan.LIMITS_EXCEEDED: Verdict.NEEDS_REVIEW,
    malware.Scan.NOT_CONFIGURED: Verdict.NOT_CHECKED,
}


@dataclass(frozen=True)
class Check:
    """One thing looked at; `detail` is a sentence for the student."""

    code: str
    verdict: Verdict
    detail: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Document:
    """A stored document, and what is known of it.

    `content_type` is what its content said when it came in, `declared_type` what its sender said;
    `duplicate_of` is the name of an earlier file of its application with the same content, if any.
    """

    content: bytes
    name: str
    content_type: str
    declared_type: str
    duplicate_of: str = ""


@dataclass(frozen=True)
class Report:
    """All checks of a document in their order, the text that was read, and how many pages it has."""

    checks: list[Check]
    text: str = ""
    pages: int = 0


def gave_up() -> Check:
    """Return the only line of a document that could not be checked: staff decide about it."""
    finding = Finding(GAVE_UP, "gave_up", Verdict.NEEDS_REVIEW)
    return Check(finding.code, finding.verdict, sentence(finding))


def verify(document: Document) -> Report:
    """Check a document.

    Raises `malware.ScannerUnavailable` and `sandbox.InspectionFailed`: it can be tried again.
    """
    deadline = time.monotonic() + sandbox.WALL_SECONDS
    common = _common_findings(document)
    inspection = _inspection(document, common, deadline)
    # One that is too complex says so before the checks that it made impossible.
    findings = (*in_order(common, COMMON_CHECKS), *inspection.findings)
    checks = [Check(finding.code, finding.verdict, sentence(finding)) for finding in findings]
    return Report(checks, inspection.text, inspection.pages)


def state_of(report: Sequence[Check]) -> DocumentsState:
    """Return what the report makes of the document."""
    verdicts = {check.verdict for check in report}
    if Verdict.FAILED in verdicts:
        return DocumentsState.FAILED
    if Verdict.NEEDS_REVIEW in verdicts:
        return DocumentsState.NEEDS_REVIEW
    return DocumentsState.VERIFIED


def _common_findings(document: Document) -> list[Finding]:
    """Return what can be said about a file of any type; what it makes impossible is left out."""
    if not document.content:
        return [Finding("not_empty", "empty", Verdict.FAILED)]
    found = [Finding("not_empty", "good", Verdict.PASSED), _size(document)]
    if found[-1].verdict == Verdict.PASSED:
        scan = malware.scan(document.content)
        found += [_type(document), Finding("malware", scan.value, _SCANS[scan])]
    return [*found, _duplicate(document)]


def _inspection(document: Document, common: list[Finding], deadline: float) -> Inspection:
    """Let the sandbox look into the document, unless it is known to be none for a parser.

    It gets what the scanner has left of the time.
    """
    verdicts = {finding.code: finding.verdict for finding in common}
    if verdicts.get("type") != Verdict.PASSED or verdicts["malware"] == Verdict.FAILED:
        return Inspection(in_order([], checks_of(document.content_type)))
    return sandbox.inspect(
        document.content,
        content_type=document.content_type,
        seconds=max(deadline - time.monotonic(), 0.0),
    )


def _size(document: Document) -> Finding:
    if len(document.content) > settings.MAX_FILE_BYTES:
        values = {"limit": settings.MAX_FILE_BYTES // 2**20}
        return Finding("size", "too_large", Verdict.FAILED, values)
    return Finding("size", "good", Verdict.PASSED)


def _type(document: Document) -> Finding:
    """Compare the content with what it is called and said to be; its parser judges it later."""
    file_type = type_of(document.content)
    if file_type is None:
        return Finding("type", "unsupported", Verdict.FAILED)
    fits = file_type.fits(document.name, document.declared_type)
    if not fits or file_type.content_type != document.content_type:
        return Finding("type", "mismatch", Verdict.FAILED)
    return Finding("type", "good", Verdict.PASSED)


def _duplicate(document: Document) -> Finding:
    if document.duplicate_of:
        values = {"name": document.duplicate_of}
        return Finding("not_duplicate", "duplicate", Verdict.FAILED, values)
    return Finding("not_duplicate", "good", Verdict.PASSED)
