"""Students at a browser, against a running system."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.e2e.running_system import wait_for
from tests.e2e.student import Student, locked, not_a_pdf, reference, transcript

NewStudent = Callable[..., Student]
NewPage = Callable[..., Page]


def test_student_signs_up_applies_pays_and_sees_it_complete(new_page: NewPage) -> None:
    student = Student(new_page())
    page = student.page
    student.sign_up(f"{uuid.uuid4().hex}@example.com")
    student.statement.fill("I want to learn how queues keep their promises.")
    student.pick(transcript())
    student.pick(reference())
    expect(student.picked).to_have_count(2)

    student.send()
    expect(page.get_by_role("heading", name="What happened so far")).to_be_visible()
    # Neither the page nor its live region may be replaced, or a screen reader would start anew.
    page.get_by_role("status").evaluate("element => { window.liveRegion = element; }")
    student.sees("awaiting_payment")
    expect(page.get_by_role("status")).to_have_text("Fee due. Pay the application fee.")
    assert page.evaluate("window.liveRegion === document.querySelector('[role=status]')")
    expect(page).to_have_title("Fee due · Sluice")

    student.pay()
    student.sees("completed")
    expect(page.get_by_role("heading", level=1)).to_have_text("Completed")
    expect(page.get_by_text("100 %")).to_be_visible()
    expect(page.locator(".document .badge")).to_have_text(["Verified", "Verified"])
    expect(page.locator(".timeline li").last).to_contain_text("Your application is complete")


def test_student_replaces_just_the_rejected_document(new_student: NewStudent) -> None:
    student = new_student()
    page = student.page
    student.apply(transcript(), locked())
    student.sees("verification_failed")
    expect(student.document("locked.pdf").locator(".check-failed")).to_have_text(
        "Failed: The PDF is protected with a password. Save it without one and send it again."
    )
    expect(student.document("transcript.pdf").locator(".badge")).to_have_text("Verified")

    student.pick_replacement("locked.pdf", not_a_pdf())
    student.send_replacement("locked.pdf")
    expect(page.get_by_text("notes.pdf is not a PDF, JPEG or PNG file.")).to_be_visible()
    expect(page.get_by_label("Replace locked.pdf")).to_be_focused()
    student.pick_replacement("locked.pdf", reference())
    student.send_replacement("locked.pdf")

    expect(page).to_have_url(re.compile("/status$"))
    student.sees("awaiting_payment")
    expect(page.locator(".document .badge")).to_have_text(["Verified", "Verified"])
    expect(student.document("reference.pdf")).to_be_visible()
    student.pay()
    student.sees("completed")


def test_picked_file_stays_while_the_page_goes_on(new_student: NewStudent) -> None:
    student = new_student()
    page = student.page
    student.apply(locked())
    student.sees("verification_failed")
    expect(page.locator(".timeline")).to_contain_text("The application fee can be paid")
    student.document("locked.pdf").locator("summary").click()
    field = student.pick_replacement("locked.pdf", reference())
    field.focus()

    other = page.context.new_page()
    other.goto(page.url.replace("/applications/", "/payments/checkout/").removesuffix("/status"))
    other.get_by_role("button", name="Go to the payment page").click()
    expect(page.locator(".timeline")).to_contain_text("You opened the payment page")

    assert field.evaluate("element => element.files[0].name") == "reference.pdf"
    expect(field).to_be_focused()
    expect(student.document("locked.pdf").locator("details")).to_have_attribute("open", "")
    student.send_replacement("locked.pdf")
    expect(student.document("reference.pdf").locator(".badge")).to_have_text("Verified")


def test_student_withdraws_and_gets_the_fee_back(new_student: NewStudent) -> None:
    student = new_student()
    page = student.page
    student.apply(locked())
    student.sees("verification_failed")
    expect(page.locator(".timeline")).to_contain_text("The application fee can be paid")
    page.goto(page.url.replace("/applications/", "/payments/checkout/").removesuffix("/status"))
    student.pay_at_checkout()
    expect(page.locator(".timeline")).to_contain_text("We received your payment")

    page.get_by_role("link", name="Withdraw").click()
    expect(page.get_by_text("We pay the fee of 50.00 USD back in full")).to_be_visible()
    page.get_by_role("link", name="Keep it").click()
    student.sees("verification_failed")
    student.withdraw()

    student.sees("withdrawn")
    expect(page.locator(".timeline li").last).to_contain_text("We paid your fee back")
    expect(page.locator(".lead")).to_contain_text("We have paid the fee of 50.00 USD back")
    expect(page.get_by_role("link", name="Withdraw")).to_have_count(0)


def test_form_keeps_text_and_files_when_an_error_comes_back(new_student: NewStudent) -> None:
    student = new_student()
    page = student.page
    student.pick(transcript(), not_a_pdf())

    student.send()
    expect(page.get_by_text("Write your personal statement.")).to_be_visible()
    expect(student.statement).to_be_focused()
    expect(student.picked).to_have_count(2)
    expect(student.picked.nth(1)).to_contain_text("notes.pdf is not a PDF, JPEG or PNG file.")

    student.statement.fill("I want to study.")
    page.get_by_role("button", name="Remove notes.pdf").click()
    expect(student.picked).to_have_count(1)
    student.send()
    expect(page.locator(".document-name").first).to_have_text("transcript.pdf")


def test_form_keeps_everything_while_the_server_is_out_of_reach(new_student: NewStudent) -> None:
    student = new_student()
    page = student.page
    student.statement.fill("I want to study.")
    student.pick(transcript())

    page.context.set_offline(True)
    student.send()
    expect(page.get_by_role("alert")).to_contain_text("We can't reach the server.")
    page.context.set_offline(False)
    student.send()

    expect(page.locator(".document")).to_have_count(1)


def test_double_click_sends_one_application(new_student: NewStudent) -> None:
    student = new_student()
    page = student.page
    page.goto("/applications")
    before = page.locator(".list-item").count()

    page.goto("/apply")
    student.statement.fill("I want to study.")
    page.get_by_role("button", name="Send application").dblclick()
    expect(page).to_have_url(re.compile("/status$"))

    page.goto("/applications")
    expect(page.locator(".list-item")).to_have_count(before + 1)


def test_status_page_says_when_it_has_lost_contact(new_student: NewStudent) -> None:
    student = new_student()
    page = student.page
    student.apply()
    notice = page.locator("#lost-contact")
    expect(notice).to_be_hidden()

    page.context.set_offline(True)
    expect(notice).to_contain_text("We can't reach the server at the moment")
    expect(notice).to_be_visible()
    page.context.set_offline(False)

    expect(notice).to_be_hidden()


def test_status_page_leads_to_the_sign_in_when_the_session_has_ended(
    new_student: NewStudent,
) -> None:
    student = new_student()
    student.apply()
    path = urlsplit(student.page.url).path

    student.page.context.clear_cookies()

    expect(student.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert student.page.url.endswith(f"/sign-in?next={path}")


def test_everything_works_without_javascript(new_student: NewStudent) -> None:
    student = new_student(java_script_enabled=False)
    page = student.page

    student.statement.fill("x" * 20_001)
    student.send()
    expect(page.locator("#statement-errors")).to_contain_text("Use at most 20000 characters")
    expect(student.statement).to_have_value("x" * 20_001)

    student.apply(transcript(), locked())
    assert "This page does not update itself" in page.content()
    assert wait_for(lambda: _reloaded_status(page) == "verification_failed", seconds=60)
    student.pick_replacement("locked.pdf", reference())
    student.send_replacement("locked.pdf")
    assert wait_for(lambda: _reloaded_status(page) == "awaiting_payment", seconds=60)
    student.pay()
    assert wait_for(lambda: _reloaded_status(page) == "completed", seconds=60)

    page.goto("/apply")
    student.apply()
    student.withdraw()
    expect(page.get_by_role("heading", level=1)).to_have_text("Withdrawn")


def _reloaded_status(page: Page) -> str | None:
    page.reload()
    return page.locator("#status").get_attribute("data-status")


def test_api_documentation_works_under_the_content_security_policy(new_page: NewPage) -> None:
    page = new_page()

    page.goto("/docs")

    expect(page.locator(".opblock-summary-path", has_text="/status")).to_be_visible()


def test_pages_fit_the_narrowest_screen(new_student: NewStudent) -> None:
    student = new_student(viewport={"width": 360, "height": 800})
    student.apply({**locked(), "name": f"{'transcript-of-records-' * 5}.pdf"})
    student.sees("verification_failed")
    status = student.page.url
    withdrawal = status.replace("/status", "/withdrawal")
    checkout = status.replace("/applications/", "/payments/checkout/").removesuffix("/status")

    for address in ("/apply", "/applications", status, withdrawal, checkout):
        student.page.goto(address)
        assert student.page.evaluate("document.documentElement.scrollWidth") == 360, address
