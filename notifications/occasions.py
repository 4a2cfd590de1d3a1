"""What each occasion's mail says in its subject and its button, and the facts that it is made of."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from applications.models import Application, ApplicationFile, DocumentsState, PaymentState
from applications.money import format_money
from notifications.models import Occasion

# What a template gets to see: words, lists of sentences, and yes or no.
Facts = Mapping[str, str | list[str] | bool]

STATUS_PAGE = "/applications/{id}/status"
PAY_PAGE = "/payments/checkout/{id}"

FEE_IS_PAID = frozenset({PaymentState.PAID, PaymentState.REFUNDED})


@dataclass(frozen=True)
class Notice:
    """What a student is to be told: `about` is that of `Mail`, `details` the event's payload."""

    application_id: uuid.UUID
    occasion: Occasion
    about: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


FactsOf = Callable[[Application, Notice], Facts | None]


def _fee(application: Application, notice: Notice) -> Facts:
    return {"fee": format_money(application.fee_amount, application.fee_currency)}


def _fee_if_due(application: Application, notice: Notice) -> Facts | None:
    if application.withdrawn_at is not None or application.payment in FEE_IS_PAID:
        return None
    return _fee(application, notice)


def _rejected_document(application: Application, notice: Notice) -> Facts | None:
    file = ApplicationFile.objects.get(pk=notice.about)
    is_over = application.withdrawn_at is not None or file.replaced_at is not None
    if is_over or file.state != DocumentsState.FAILED:
        return None
    failed = [check["detail"] for check in file.checks if check["verdict"] == "failed"]
    return {"file": file.name, "reasons": failed}


def _withdrawal(application: Application, notice: Notice) -> Facts:
    return {**_fee(application, notice), "is_paid": application.payment == PaymentState.PAID}


def _refund(application: Application, notice: Notice) -> Facts:
    return {"sum": format_money(notice.details["amount"], notice.details["currency"])}


@dataclass(frozen=True)
class Letter:
    """The fixed parts of an occasion's mail; its text is `templates/notifications/<occasion>.txt`.

    `action` is what the button says and `page` where it leads. `facts` returns what the text needs,
    or None where the mail is not wanted any more.
    """

    subject: Promise
    action: Promise
    page: str
    facts: FactsOf


LETTERS = {
    Occasion.RECEIVED: Letter(
        _("We received your application"), _("Follow your application"), STATUS_PAGE, _fee
    ),
    Occasion.ACTION_NEEDED: Letter(
        _("Your application: a document needs your attention"),
        _("Replace the document"),
        STATUS_PAGE,
        _rejected_document,
    ),
    Occasion.PAY_NOW: Letter(
        _("Your application: please pay the fee"), _("Pay the fee"), PAY_PAGE, _fee_if_due
    ),
    Occasion.PAYMENT_FAILED: Letter(
        _("Your application: the payment was declined"),
        _("Try again"),
        PAY_PAGE,
        _fee_if_due,
    ),
    Occasion.COMPLETED: Letter(
        _("Your application is complete"), _("See your application"), STATUS_PAGE, _fee
    ),
    Occasion.WITHDRAWN: Letter(
        _("Your application is withdrawn"), _("See your application"), STATUS_PAGE, _withdrawal
    ),
    Occasion.REFUNDED: Letter(
        _("Your application: we paid your money back"),
        _("See your application"),
        STATUS_PAGE,
        _refund,
    ),
}
