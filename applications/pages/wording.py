"""What the status page says of an application: what happens now, and what the student does next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from applications.models import DocumentsState, PaymentState, Status
from applications.money import format_money
from applications.verification.report import Verdict

Text = str | Promise

# What happens now, where the status alone says it.
NOW: dict[Status, Text] = {
    Status.SUBMITTED: gettext_lazy("We have your application. We start to check it in a moment."),
    Status.VERIFYING: gettext_lazy("We are checking your documents."),
    Status.VERIFIED: gettext_lazy(
        "Your documents are fine. Next we prepare the payment of the fee."
    ),
    Status.PROCESSING_PAYMENT: gettext_lazy("We are preparing the payment of the application fee."),
    Status.AWAITING_PAYMENT: gettext_lazy("Your documents are fine. Only the fee is missing."),
    Status.PAYMENT_INITIATED: gettext_lazy(
        "You opened the payment page. We have not had a payment yet."
    ),
    Status.COMPLETED: gettext_lazy(
        "Your documents are verified and the fee is paid. We will write to you about the decision."
    ),
}


def now(document: Mapping[str, Any]) -> Text:
    """Return what happens now with the application of this status document."""
    status, payment = Status(document["status"]), document["payment"]["state"]
    if status == Status.WITHDRAWN:
        return _withdrawn(document)
    if status == Status.VERIFICATION_FAILED:
        return _rejected(document)
    if status == Status.VERIFYING:
        return _being_checked(document)
    if status == Status.PAYMENT_INITIATED and payment == PaymentState.FAILED:
        return _("The payment was declined. You have not been charged.")
    if status == Status.AWAITING_PAYMENT and in_state(document, DocumentsState.NEEDS_REVIEW):
        reviewed = _names(document, DocumentsState.NEEDS_REVIEW)
        return _("The fee can be paid while our staff look at %(names)s.") % {"names": reviewed}
    states = {file["state"] for file in document["documents"]}
    if status == Status.AWAITING_PAYMENT and states - {DocumentsState.VERIFIED}:
        return _("The fee can be paid while we are still checking your documents.")
    if status in {Status.VERIFIED, Status.AWAITING_PAYMENT} and not states:
        return _("You sent no documents, so only the fee is missing.")
    return NOW[status]


def next_step(document: Mapping[str, Any]) -> Text:
    """Return what the student does next; "" once there is nothing to come."""
    if document["terminal"]:
        return ""
    if document["nextAction"] == "replace_document":
        rejected = _names(document, DocumentsState.FAILED)
        return _("Replace %(names)s below. The rest of your application stays as it is.") % {
            "names": rejected
        }
    if document["nextAction"] == "pay":
        return _how_to_pay(document)
    if in_state(document, DocumentsState.NEEDS_REVIEW):
        reviewed = _names(document, DocumentsState.NEEDS_REVIEW)
        return _(
            "Nothing: we write to you when our staff have decided. If you have a better version of "
            "%(names)s, you may replace it below meanwhile."
        ) % {"names": reviewed}
    return _("Nothing. We write to you as soon as there is something for you to do.")


def payment_label(document: Mapping[str, Any]) -> Text:
    """Return the state of the fee; of a withdrawn application it is no longer due."""
    state = PaymentState(document["payment"]["state"])
    if document["status"] != Status.WITHDRAWN or state == PaymentState.REFUNDED:
        return state.label
    return _("being paid back") if state == PaymentState.PAID else _("no longer due")


def is_refund_to_come(document: Mapping[str, Any]) -> bool:
    """Tell whether the application has ended but its fee is still being paid back."""
    return bool(
        document["status"] == Status.WITHDRAWN and document["payment"]["state"] == PaymentState.PAID
    )


def in_state(document: Mapping[str, Any], state: DocumentsState) -> list[Mapping[str, Any]]:
    """Return the documents in this state."""
    return [file for file in document["documents"] if file["state"] == state]


def _withdrawn(document: Mapping[str, Any]) -> Text:
    payment = document["payment"]
    fee = format_money(payment["amount"], payment["currency"])
    if payment["state"] == PaymentState.PAID:
        return _(
            "This application was withdrawn. We are paying the fee of %(fee)s back and write to you "
            "when that is done."
        ) % {"fee": fee}
    if payment["state"] == PaymentState.REFUNDED:
        return _(
            "This application was withdrawn. We have paid the fee of %(fee)s back; it can take some "
            "days until your bank shows it."
        ) % {"fee": fee}
    return _("This application was withdrawn. There is no fee to pay.")


def _rejected(document: Mapping[str, Any]) -> Text:
    rejected = in_state(document, DocumentsState.FAILED)
    names = _names(document, DocumentsState.FAILED)
    if len(rejected) > 1:
        return _("%(names)s can't be accepted. The list below says why.") % {"names": names}
    reasons = [
        check["detail"]
        for file in rejected
        for check in file["checks"]
        if check["verdict"] == Verdict.FAILED
    ]
    values = {"names": names, "reason": " ".join(reasons)}
    return _("%(names)s can't be accepted. %(reason)s") % values


def _being_checked(document: Mapping[str, Any]) -> Text:
    is_paid = document["payment"]["state"] == PaymentState.PAID
    names = _names(document, DocumentsState.NEEDS_REVIEW)
    if names and is_paid:
        text = _("We have your payment. Our staff look at %(names)s, which takes longer.")
        return text % {"names": names}
    if names:
        text = _("Our staff look at %(names)s. That takes longer than our own checks.")
        return text % {"names": names}
    if is_paid:
        return _("We have your payment and are still checking your documents.")
    return NOW[Status.VERIFYING]


def _how_to_pay(document: Mapping[str, Any]) -> Text:
    if document["status"] != Status.PAYMENT_INITIATED:
        return _("Pay the application fee.")
    if document["payment"]["state"] == PaymentState.FAILED:
        return _("Pay again, with another card if need be.")
    return _("Finish the payment. If you closed its page, open it again.")


def _names(document: Mapping[str, Any], state: DocumentsState) -> str:
    """Return the documents in this state by name: “a.pdf” and “b.pdf”; "" if there are none."""
    names = [f"“{file['name']}”" for file in in_state(document, state)]
    return get_text_list(names, _("and"))
