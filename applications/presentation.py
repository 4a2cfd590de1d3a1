"""The status document in the words of the student's pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from applications.models import Application, DocumentsState, EventType, PaymentState, Status
from applications.money import format_money
from applications.selectors import next_action

Text = str | Promise

# What happens now. Where the status alone does not say it, `_now` looks at the facts too.
NOW: dict[Status, Text] = {
    Status.SUBMITTED: _("We have your application. We start to check it in a moment."),
    Status.VERIFYING: _("We are checking your documents."),
    Status.VERIFIED: _("Your documents are fine. Next we prepare the payment of the fee."),
    Status.PROCESSING_PAYMENT: _("We are preparing the payment of the application fee."),
    Status.AWAITING_PAYMENT: _("Your documents are fine. Only the fee is missing."),
    Status.PAYMENT_INITIATED: _("You opened the payment page. We have not had a payment yet."),
    Status.VERIFICATION_FAILED: _("A document can't be accepted. The list below says why."),
    Status.COMPLETED: _(
        "Your documents are verified and the fee is paid. We will write to you about the decision."
    ),
    Status.WITHDRAWN: _("This application was withdrawn."),
}
# What the student does next, by `nextAction`.
NEXT: dict[str | None, Text] = {
    None: _("Nothing. We write to you as soon as there is something for you to do."),
    "pay": _("Pay the application fee."),
    "replace_document": _(
        "Prepare a corrected document and send a new application with it. "
        "A document that was sent can't be replaced on this page yet."
    ),
}
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
        "now": _now(document),
        "next": "" if document["terminal"] else _next(document),
        "steps": _steps(document),
        "documents": [_document(file) for file in document["documents"]],
        "fee": format_money(payment["amount"], payment["currency"]),
        "payment_label": PaymentState(payment["state"]).label,
        "payment_tone": PAYMENT_TONES.get(payment["state"], "plain"),
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
            "progress": application.progress,
            "created_at": application.created_at,
            "waits_for_student": next_action(application) is not None,
        }
        for application in applications
    ]


def _now(document: Mapping[str, Any]) -> Text:
    status, payment = Status(document["status"]), document["payment"]["state"]
    states = {file["state"] for file in document["documents"]}
    if status == Status.VERIFYING and payment == PaymentState.PAID:
        return _("We have your payment and are still checking your documents.")
    if status == Status.VERIFYING and DocumentsState.NEEDS_REVIEW in states:
        return _("A member of our staff looks at a document. That takes longer than our checks.")
    if payment == PaymentState.FAILED and status == Status.PAYMENT_INITIATED:
        return _("The payment was declined. You have not been charged.")
    if status == Status.AWAITING_PAYMENT and states - {DocumentsState.VERIFIED}:
        return _("The fee can be paid while we are still checking your documents.")
    if status in {Status.VERIFIED, Status.AWAITING_PAYMENT} and not states:
        return _("You sent no documents, so only the fee is missing.")
    return NOW[status]


def _next(document: Mapping[str, Any]) -> Text:
    if document["nextAction"] == "pay" and document["status"] == Status.PAYMENT_INITIATED:
        if document["payment"]["state"] == PaymentState.FAILED:
            return _("Pay again, with another card if need be.")
        return _("Finish the payment. If you closed its page, open it again.")
    return NEXT[document["nextAction"]]


def _document(file: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **file,
        "label": DocumentsState(file["state"]).label,
        "tone": DOCUMENT_TONES.get(file["state"], "plain"),
        "passed": [check["detail"] for check in file["checks"] if check["verdict"] == "passed"],
    }


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
