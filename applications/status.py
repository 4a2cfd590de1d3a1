"""The one place that derives an application's status and progress from its facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from applications.models import DocumentsState, PaymentState, Status


@dataclass(frozen=True)
class Facts:
    """What is known about an application; everything that people see follows from it."""

    documents: str
    payment: str
    checkout_opened: bool
    withdrawn: bool = False


@dataclass(frozen=True)
class Derived:
    """`progress` is a percentage, or None where the status keeps what was reached before."""

    status: Status
    progress: int | None


def derive(facts: Facts) -> Derived:
    """Return the furthest stage reached, or what needs the student; the first line that fits wins."""
    verified = facts.documents == DocumentsState.VERIFIED
    if facts.withdrawn or facts.payment == PaymentState.REFUNDED:
        return Derived(Status.WITHDRAWN, None)
    if facts.documents == DocumentsState.FAILED:
        return Derived(Status.VERIFICATION_FAILED, None)
    if facts.payment == PaymentState.PAID:
        return Derived(Status.COMPLETED, 100) if verified else Derived(Status.VERIFYING, 75)
    if facts.payment in {PaymentState.AWAITING, PaymentState.FAILED}:
        opened = facts.checkout_opened
        return Derived(Status.PAYMENT_INITIATED if opened else Status.AWAITING_PAYMENT, 75)
    if facts.payment == PaymentState.PROCESSING:
        return Derived(Status.PROCESSING_PAYMENT, 55)
    if verified:
        return Derived(Status.VERIFIED, 50)
    if facts.documents == DocumentsState.WAITING:
        return Derived(Status.SUBMITTED, 25)
    return Derived(Status.VERIFYING, 30)


# The state of all documents together is the first of these that any of them has.
_WORST_FIRST = (
    DocumentsState.FAILED,
    DocumentsState.NEEDS_REVIEW,
    DocumentsState.VERIFYING,
    DocumentsState.WAITING,
)


def documents_state(states: Iterable[str]) -> DocumentsState:
    """Return the state of an application's documents together; no documents are verified ones."""
    present = set(states)
    if DocumentsState.VERIFIED in present and DocumentsState.WAITING in present:
        # Some are done and some have not begun: the checking as a whole is under way.
        present.add(DocumentsState.VERIFYING)
    return next((state for state in _WORST_FIRST if state in present), DocumentsState.VERIFIED)
