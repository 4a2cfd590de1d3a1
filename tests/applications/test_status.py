from __future__ import annotations

from itertools import combinations_with_replacement, product

import pytest

from applications.models import DocumentsState, PaymentState
from applications.status import Facts, derive, documents_state

# What people see for each pair of facts, as the design's table has it; None keeps the progress.
# In the columns: waiting, verifying, verified, failed, needs_review.
TABLE: dict[str, list[tuple[str, int | None]]] = {
    "none": [
        ("submitted", 25),
        ("verifying", 30),
        ("verified", 50),
        ("verification_failed", None),
        ("verifying", 30),
    ],
    "processing": [
        ("processing_payment", 55),
        ("processing_payment", 55),
        ("processing_payment", 55),
        ("verification_failed", None),
        ("processing_payment", 55),
    ],
    "awaiting": [
        ("awaiting_payment", 75),
        ("awaiting_payment", 75),
        ("awaiting_payment", 75),
        ("verification_failed", None),
        ("awaiting_payment", 75),
    ],
    "failed": [
        ("awaiting_payment", 75),
        ("awaiting_payment", 75),
        ("awaiting_payment", 75),
        ("verification_failed", None),
        ("awaiting_payment", 75),
    ],
    "paid": [
        ("verifying", 75),
        ("verifying", 75),
        ("completed", 100),
        ("verification_failed", None),
        ("verifying", 75),
    ],
    "refunded": [("withdrawn", None)] * 5,
}
DOCUMENTS = ["waiting", "verifying", "verified", "failed", "needs_review"]
CASES = [
    (documents, payment, *expected)
    for payment, row in TABLE.items()
    for documents, expected in zip(DOCUMENTS, row, strict=True)
]


def test_table_covers_all_facts():
    assert set(product(DocumentsState.values, PaymentState.values)) == {
        (documents, payment) for documents, payment, *_ in CASES
    }


@pytest.mark.parametrize(("documents", "payment", "status", "progress"), CASES)
def test_derive_follows_the_table(documents, payment, status, progress):
    derived = derive(Facts(documents, payment, checkout_opened=False))

    assert (derived.status, derived.progress) == (status, progress)


@pytest.mark.parametrize(("documents", "payment", "status", "progress"), CASES)
def test_derive_shows_an_opened_checkout_while_the_fee_is_due(documents, payment, status, progress):
    derived = derive(Facts(documents, payment, checkout_opened=True))

    opened = "payment_initiated" if status == "awaiting_payment" else status
    assert (derived.status, derived.progress) == (opened, progress)


@pytest.mark.parametrize(
    ("states", "together"),
    [
        ([], "verified"),
        (["waiting"], "waiting"),
        (["waiting", "waiting"], "waiting"),
        (["verifying"], "verifying"),
        (["verifying", "waiting"], "verifying"),
        (["verified"], "verified"),
        (["verified", "verified"], "verified"),
        (["verified", "waiting"], "verifying"),
        (["verified", "verifying"], "verifying"),
        (["verified", "verifying", "waiting"], "verifying"),
        (["needs_review"], "needs_review"),
        (["needs_review", "verified"], "needs_review"),
        (["needs_review", "waiting"], "needs_review"),
        (["needs_review", "verifying"], "needs_review"),
        (["failed"], "failed"),
        (["failed", "verified"], "failed"),
        (["failed", "waiting"], "failed"),
        (["failed", "needs_review", "verifying"], "failed"),
    ],
)
def test_documents_state_is_that_of_all_together(states, together):
    assert documents_state(states) == together
    assert documents_state(reversed(states)) == together


def test_documents_are_verified_only_if_every_one_is():
    for states in combinations_with_replacement(DocumentsState.values, 3):
        verified = documents_state(states) == DocumentsState.VERIFIED
        assert verified == (set(states) == {DocumentsState.VERIFIED}), states
