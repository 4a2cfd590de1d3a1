"""Students at a browser, against a running system."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.e2e.running_system import wait_for
from tests.e2e.student import Student, not_a_pdf, reference, transcript

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

    student.apply(transcript(), reference())
    assert "This page does not update itself" in page.content()
    assert wait_for(lambda: _reloaded_status(page) == "awaiting_payment", seconds=60)
    student.pay()
    assert wait_for(lambda: _reloaded_status(page) == "completed", seconds=60)


def _reloaded_status(page: Page) -> str | None:
    page.reload()
    return page.locator("#status").get_attribute("data-status")


def test_api_documentation_works_under_the_content_security_policy(new_page: NewPage) -> None:
    page = new_page()

    page.goto("/docs")

    expect(page.locator(".opblock-summary-path", has_text="/status")).to_be_visible()


def test_pages_fit_the_narrowest_screen(new_student: NewStudent) -> None:
    student = new_student(viewport={"width": 360, "height": 800})
    student.apply({**transcript(), "name": f"{'transcript-of-records-' * 5}.pdf"})
    student.sees("awaiting_payment")
    status, checkout = student.page.url, student.page.locator("#pay").get_attribute("href")

    for address in ("/apply", "/applications", status, str(checkout)):
        student.page.goto(address)
        assert student.page.evaluate("document.documentElement.scrollWidth") == 360, address
