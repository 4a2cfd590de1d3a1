"""The status document in the words of the student's page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from applications.models import DocumentsState, EventType, PaymentState, Status
from applications.money import format_money

EXPLANATIONS = {
    Status.SUBMITTED: _("We have your application. Checking your documents begins in a moment."),
    Status.VERIFYING: _("We are checking your documents. There is nothing to do for you now."),
    Status.VERIFIED: _("Your documents are fine. Next we prepare the payment of the fee."),
    Status.PROCESSING_PAYMENT: _("We are preparing the payment of the fee."),
    Status.AWAITING_PAYMENT: _("Pay the application fee to complete your application."),
    Status.PAYMENT_INITIATED: _("You opened the payment page. Finish the payment there."),
    Status.VERIFICATION_FAILED: _("One of your documents can't be accepted. The list says why."),
    Status.COMPLETED: _("Everything is here. We will write to you about the decision."),
    Status.WITHDRAWN: _("You have withdrawn this application."),
}
STEPS = (
    (25, _("Submitted")),
    (50, _("Documents")),
    (75, _("Fee")),
    (100, _("Complete")),
)


def present(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows of a status document."""
    status, payment = Status(document["status"]), document["payment"]
    return {
        **document,
        "label": status.label,
        "explanation": EXPLANATIONS[status],
        "steps": _steps(document["progress"]),
        "documents": [
            {**file, "label": DocumentsState(file["state"]).label} for file in document["documents"]
        ],
        "fee": format_money(payment["amount"], payment["currency"]),
        "payment_label": PaymentState(payment["state"]).label,
        "timeline": [
            {
                "label": EventType(entry["event"]).label,
                "detail": entry["detail"],
                "at": datetime.fromisoformat(entry["at"]),
            }
            for entry in document["timeline"]
        ],
    }


def _steps(progress: int) -> list[dict[str, Any]]:
    """Return the steps of the bar: done, current (the first that is not) or to come."""
    current = next((percent for percent, _label in STEPS if percent > progress), None)
    return [
        {
            "label": label,
            "state": "done" if percent <= progress else "current" if percent == current else "todo",
        }
        for percent, label in STEPS
    ]
