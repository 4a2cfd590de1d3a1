"""The status document as the student's pages show it; `wording` has the sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from applications.models import Application, DocumentsState, EventType, PaymentState, Status
from applications.money import format_money
from applications.pages import wording
from applications.selectors import next_action
from applications.verification.report import Verdict

DOCUMENT_TONES = {
    DocumentsState.VERIFIED: "good",
    DocumentsState.FAILED: "bad",
    DocumentsState.NEEDS_REVIEW: "warn",
}
PAYMENT_TONES = {
    PaymentState.AWAITING: "todo",
    PaymentState.PAID: "good",
    PaymentState.FAILED: "bad",
}
# What is told of a document one by one, in this order; what passed comes after it, all together.
VERDICTS = {
    Verdict.FAILED: _("Failed"),
    Verdict.NEEDS_REVIEW: _("Needs a look by our staff"),
    Verdict.NOT_CHECKED: _("Not checked"),
}
# What each check is about, for where several share a sentence.
SUBJECTS = {
    "not_empty": _("content"),
    "size": _("size"),
    "type": _("type"),
    "malware": _("malware"),
    "not_duplicate": _("duplicates"),
    "not_encrypted": _("password"),
    "not_damaged": _("damage"),
    "page_count": _("number of pages"),
    "no_active_content": _("active content"),
    "dimensions": _("size in pixels"),
    "legible": _("legibility"),
    "too_complex": _("complexity"),
    "review": _("decision of our staff"),
}
DOCUMENTS, FEE, COMPLETE = 1, 2, 3
STEPS = (_("Submitted"), _("Documents"), _("Fee"), _("Complete"))
CURRENT_STEP = {
    Status.SUBMITTED: DOCUMENTS,
    Status.VERIFYING: DOCUMENTS,
    Status.VERIFICATION_FAILED: DOCUMENTS,
    Status.VERIFIED: FEE,
    Status.PROCESSING_PAYMENT: FEE,
    Status.AWAITING_PAYMENT: FEE,
    Status.PAYMENT_INITIATED: FEE,
}


def present(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows of a status document."""
    status, payment = Status(document["status"]), document["payment"]
    return {
        **document,
        "label": status.label,
        "now": wording.now(document),
        "next": wording.next_step(document),
        # Of a withdrawn application nobody asks any more how far it was.
        "steps": [] if status == Status.WITHDRAWN else _steps(document),
        "documents": [
            _document(file, is_withdrawn=status == Status.WITHDRAWN)
            for file in document["documents"]
        ],
        "rejected": wording.in_state(document, DocumentsState.FAILED),
        "fee": format_money(payment["amount"], payment["currency"]),
        "payment_label": wording.payment_label(document),
        "payment_tone": _payment_tone(document),
        "timeline": [
            {
                "label": EventType(entry["event"]).label,
                "detail": entry["detail"],
                "at": datetime.fromisoformat(entry["at"]),
            }
            for entry in document["timeline"]
        ],
    }


def present_list(applications: Iterable[Application]) -> list[dict[str, Any]]:
    """Return what the list of applications shows of each."""
    return [
        {
            "id": application.id,
            "label": Status(application.status).label,
            "progress": None if application.status == Status.WITHDRAWN else application.progress,
            "created_at": application.created_at,
            "waits_for_student": next_action(application) is not None,
        }
        for application in applications
    ]


def _document(file: Mapping[str, Any], *, is_withdrawn: bool) -> dict[str, Any]:
    is_decided = file["state"] in {DocumentsState.VERIFIED, DocumentsState.FAILED}
    is_dropped = is_withdrawn and not is_decided
    verdicts = [v for v in VERDICTS if not (is_dropped and v == Verdict.NEEDS_REVIEW)]
    found = [found for verdict in verdicts for found in _findings(file["checks"], verdict)]
    return {
        **file,
        "label": _("no longer checked") if is_dropped else DocumentsState(file["state"]).label,
        "tone": "plain" if is_dropped else DOCUMENT_TONES.get(file["state"], "plain"),
        "findings": found,
        "passed": [c["detail"] for c in file["checks"] if c["verdict"] == Verdict.PASSED],
    }


def _findings(checks: Iterable[Mapping[str, Any]], verdict: Verdict) -> list[dict[str, Any]]:
    """Return one finding for each sentence; checks that share one are told apart by subjects."""
    codes: dict[str, list[str]] = {}
    for check in checks:
        if check["verdict"] == verdict:
            codes.setdefault(check["detail"], []).append(check["code"])
    return [
        {
            "verdict": verdict.value,
            "label": VERDICTS[verdict],
            "subjects": [SUBJECTS.get(code, code) for code in found] if len(found) > 1 else [],
            "detail": detail,
        }
        for detail, found in codes.items()
    ]


def _payment_tone(document: Mapping[str, Any]) -> str:
    if document["status"] == Status.WITHDRAWN:
        return "plain"
    return PAYMENT_TONES.get(document["payment"]["state"], "plain")


def _steps(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of the bar: done by the facts; one at most is where it goes on."""
    status = Status(document["status"])
    done = {
        0: True,
        DOCUMENTS: all(f["state"] == DocumentsState.VERIFIED for f in document["documents"]),
        FEE: document["payment"]["state"] == PaymentState.PAID,
        COMPLETE: status == Status.COMPLETED,
    }
    current = "problem" if status == Status.VERIFICATION_FAILED else "current"
    return [
        {
            "label": label,
            "state": "done"
            if done[step]
            else current
            if CURRENT_STEP.get(status) == step
            else "todo",
        }
        for step, label in enumerate(STEPS)
    ]
