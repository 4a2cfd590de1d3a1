"""Every page of the students, looked at by axe: no violation, in light and dark."""

from __future__ import annotations

from collections.abc import Callable

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.student import Student, locked, not_a_pdf, transcript

# What depends on the colours; the rest is the same in the dark.
COLOURS = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}


def violations(page: Page) -> list[str]:
    """Return what axe has against the page, light and dark: rule and element."""
    page.emulate_media(color_scheme="light")
    found = Axe().run(page).response["violations"]
    page.emulate_media(color_scheme="dark")
    found += Axe().run(page, options=COLOURS).response["violations"]
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]


def test_pages_before_signing_in_are_accessible(new_page: Callable[..., Page]) -> None:
    page = new_page()

    for address in ("/", "/sign-in", "/sign-up", "/nothing-here"):
        page.goto(address)
        assert violations(page) == [], address


def test_forms_with_errors_are_accessible(new_page: Callable[..., Page]) -> None:
    page = new_page()

    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill("nobody@example.com")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("The e-mail address or the password is wrong.")).to_be_visible()
    assert violations(page) == []

    page.goto("/sign-up")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("E-mail address").fill("student@example.com")
    page.get_by_label("Password", exact=True).fill("1234")
    page.get_by_label("Password again").fill("123")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_text("There is an account with this e-mail address")).to_be_visible()
    expect(page.get_by_label("E-mail address")).to_be_focused()
    assert violations(page) == []


def test_pages_of_an_application_are_accessible(new_student: Callable[..., Student]) -> None:
    student = new_student()
    page = student.page
    assert violations(page) == []

    student.pick(transcript(), not_a_pdf())
    student.send()
    expect(page.get_by_text("Write your personal statement.")).to_be_visible()
    assert violations(page) == []

    page.goto("/apply")
    student.apply(transcript())
    student.sees("awaiting_payment")
    assert violations(page) == []

    page.get_by_role("link", name="Pay 50.00 USD").click()
    expect(page.get_by_role("button", name="Go to the payment page")).to_be_visible()
    assert violations(page) == []

    page.get_by_role("link", name="My applications").click()
    expect(page.locator(".list-item").first).to_be_visible()
    assert violations(page) == []


def test_pages_of_a_rejected_document_and_a_withdrawal_are_accessible(
    new_student: Callable[..., Student],
) -> None:
    student = new_student()
    page = student.page
    student.apply(transcript(), locked())
    student.sees("verification_failed")
    expect(student.document("transcript.pdf").locator(".badge")).to_have_text("Verified")
    student.document("locked.pdf").locator("summary").click()
    assert violations(page) == []

    student.pick_replacement("locked.pdf", not_a_pdf())
    student.send_replacement("locked.pdf")
    expect(page.get_by_text("notes.pdf is not a PDF, JPEG or PNG file.")).to_be_visible()
    assert violations(page) == []

    page.get_by_role("link", name="Withdraw").click()
    expect(page.get_by_role("heading", name="Withdraw your application?")).to_be_visible()
    assert violations(page) == []

    page.get_by_role("button", name="Withdraw the application").click()
    student.sees("withdrawn")
    assert violations(page) == []
