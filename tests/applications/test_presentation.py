"""What the student's pages make of a status document."""

from __future__ import annotations

from typing import Any

import pytest

from applications.models import PaymentState, Status
from applications.pages.presentation import present, present_list
from applications.pages.wording import is_refund_to_come
from tests.factories import ApplicationFactory

PASSED = {"code": "size", "verdict": "passed", "detail": "The size is fine."}
UNSCANNED = {"code": "malware", "verdict": "not_checked", "detail": "Not searched for malware."}
LOCKED = {"code": "not_encrypted", "verdict": "failed", "detail": "It has a password."}
BLURRED = {"code": "legible", "verdict": "needs_review", "detail": "It is hard to read."}


def file(name: str, state: str, *checks: dict[str, str]) -> dict[str, Any]:
    return {
        "fileId": name,
        "name": name,
        "state": state,
        "checks": list(checks),
        "replaceUrl": None,
        "contentUrl": None,
    }


def document(
    status: str, *files: dict[str, Any], payment: str = "none", next_action: str | None = None
) -> dict[str, Any]:
    return {
        "applicationId": "5b0c1c1e-7c0f-4a53-9d0e-0b8d2b8e6f5a",
        "status": status,
        "progress": 75,
        "terminal": status in {"completed", "withdrawn"},
        "version": 1,
        "updatedAt": "2026-01-01T10:00:00Z",
        "nextAction": next_action,
        "withdrawUrl": None,
        "documents": list(files),
        "payment": {"state": payment, "amount": 5000, "currency": "USD", "payUrl": "/pay"},
        "timeline": [],
    }


def sentences(shown: dict[str, Any]) -> tuple[str, str]:
    return str(shown["now"]), str(shown["next"])


def test_rejected_document_is_named_with_its_reason_and_the_way_out() -> None:
    shown = present(
        document(
            "verification_failed",
            file("a.pdf", "verified", PASSED),
            file("b.pdf", "failed", UNSCANNED, LOCKED),
            next_action="replace_document",
        )
    )

    assert sentences(shown) == (
        "“b.pdf” can't be accepted. It has a password.",
        "Replace “b.pdf” below. The rest of your application stays as it is.",
    )
    assert [rejected["name"] for rejected in shown["rejected"]] == ["b.pdf"]


def test_several_rejected_documents_are_all_named() -> None:
    shown = present(
        document(
            "verification_failed",
            file("a.pdf", "failed", LOCKED),
            file("b.pdf", "failed", LOCKED),
            next_action="replace_document",
        )
    )

    assert sentences(shown) == (
        "“a.pdf” and “b.pdf” can't be accepted. The list below says why.",
        "Replace “a.pdf” and “b.pdf” below. The rest of your application stays as it is.",
    )


@pytest.mark.parametrize(
    ("payment", "now"),
    [
        ("none", "Our staff look at “a.pdf”. That takes longer than our own checks."),
        ("paid", "We have your payment. Our staff look at “a.pdf”, which takes longer."),
    ],
)
def test_document_for_staff_takes_longer_and_may_be_replaced(payment: str, now: str) -> None:
    shown = present(document("verifying", file("a.pdf", "needs_review", BLURRED), payment=payment))

    assert sentences(shown) == (
        now,
        "Nothing: we write to you when our staff have decided. If you have a better version of "
        "“a.pdf”, you may replace it below meanwhile.",
    )


def test_fee_can_be_paid_while_staff_look_at_a_document() -> None:
    shown = present(
        document(
            "awaiting_payment",
            file("a.pdf", "needs_review", BLURRED),
            payment="awaiting",
            next_action="pay",
        )
    )

    assert sentences(shown) == (
        "The fee can be paid while our staff look at “a.pdf”.",
        "Pay the application fee.",
    )


@pytest.mark.parametrize(
    ("payment", "now", "label", "to_come"),
    [
        (
            "paid",
            "This application was withdrawn. We are paying the fee of 50.00 USD back and write to "
            "you when that is done.",
            "being paid back",
            True,
        ),
        (
            "refunded",
            "This application was withdrawn. We have paid the fee of 50.00 USD back; it can take "
            "some days until your bank shows it.",
            "refunded",
            False,
        ),
        (
            "awaiting",
            "This application was withdrawn. There is no fee to pay.",
            "no longer due",
            False,
        ),
    ],
)
def test_withdrawn_application_says_where_the_fee_is(
    payment: str, now: str, label: str, to_come: bool
) -> None:
    withdrawn = document("withdrawn", file("a.pdf", "verified", PASSED), payment=payment)

    shown = present(withdrawn)

    assert sentences(shown) == (now, "")
    assert (str(shown["payment_label"]), shown["payment_tone"]) == (label, "plain")
    assert shown["steps"] == []
    assert is_refund_to_come(withdrawn) is to_come


def test_withdrawn_application_promises_no_look_by_staff() -> None:
    withdrawn = document("withdrawn", file("a.pdf", "needs_review", BLURRED, UNSCANNED))

    [shown] = present(withdrawn)["documents"]

    assert str(shown["label"]) == "no longer checked"
    assert [finding["verdict"] for finding in shown["findings"]] == ["not_checked"]


def test_checks_are_told_worst_first() -> None:
    checks = (PASSED, UNSCANNED, BLURRED, LOCKED)

    [shown] = present(document("verifying", file("a.pdf", "failed", *checks)))["documents"]

    assert [(str(found["label"]), found["detail"]) for found in shown["findings"]] == [
        ("Failed", "It has a password."),
        ("Needs a look by our staff", "It is hard to read."),
        ("Not checked", "Not searched for malware."),
    ]
    assert shown["passed"] == ["The size is fine."]


def test_checks_that_share_a_sentence_are_told_together() -> None:
    left_out = [
        {"code": code, "verdict": "not_checked", "detail": "Another check failed."}
        for code in ("not_damaged", "legible")
    ]

    [shown] = present(document("verifying", file("a.pdf", "failed", *left_out)))["documents"]

    [finding] = shown["findings"]
    assert [str(subject) for subject in finding["subjects"]] == ["damage", "legibility"]
    assert finding["detail"] == "Another check failed."


@pytest.mark.parametrize("status", Status.values)
@pytest.mark.parametrize("payment", PaymentState.values)
def test_every_status_has_something_to_say(status: str, payment: str) -> None:
    shown = present(document(status, payment=payment))

    assert shown["now"]
    assert bool(shown["next"]) is not shown["terminal"]


def test_list_shows_no_progress_of_what_was_withdrawn() -> None:
    applications = [
        ApplicationFactory.build(status="withdrawn"),
        ApplicationFactory.build(status="submitted"),
    ]

    assert [shown["progress"] for shown in present_list(applications)] == [None, 25]
