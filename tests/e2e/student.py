"""A student at a browser: what the tests do there, in the student's words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.sync_api import FilePayload, Locator, Page, expect

from runtime.sample_documents import REFERENCE, TRANSCRIPT, locked_pdf, pdf

# From the submission to the fee, or from the payment to the end, on a busy machine.
STAGE_MS = 60_000
PASSWORD = "queues keep their promises"


def transcript() -> FilePayload:
    return {"name": "transcript.pdf", "mimeType": "application/pdf", "buffer": pdf(TRANSCRIPT)}


def reference() -> FilePayload:
    return {"name": "reference.pdf", "mimeType": "application/pdf", "buffer": pdf(REFERENCE)}


def locked() -> FilePayload:
    """The letter of reference, behind a password."""
    return {**reference(), "name": "locked.pdf", "buffer": locked_pdf(REFERENCE)}


def not_a_pdf() -> FilePayload:
    return {"name": "notes.pdf", "mimeType": "application/pdf", "buffer": b"Only some notes."}


@dataclass
class Student:
    page: Page

    def sign_up(self, email: str) -> None:
        self.page.goto("/")
        self.page.get_by_role("link", name="Sign up and apply").click()
        self.page.get_by_label("Name").fill("Ada Lovelace")
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_label("Password again").fill(PASSWORD)
        self.page.get_by_role("button", name="Create account").click()
        expect(self.page).to_have_url(re.compile("/apply$"))

    @property
    def statement(self) -> Locator:
        return self.page.get_by_label("Personal statement")

    @property
    def picked(self) -> Locator:
        return self.page.get_by_role("list", name="Chosen files").get_by_role("listitem")

    def pick(self, *files: FilePayload) -> None:
        self.page.locator("#files").set_input_files(list(files))

    def send(self) -> None:
        self.page.get_by_role("button", name="Send application").click()

    def apply(self, *files: FilePayload) -> None:
        """Send an application; the page then shows its status."""
        self.statement.fill("I want to learn how queues keep their promises.")
        self.pick(*files)
        self.send()
        expect(self.page).to_have_url(re.compile("/status$"))

    def sees(self, status: str) -> None:
        """Wait until the page shows the status."""
        region = self.page.locator(f'#status[data-status="{status}"]')
        expect(region).to_be_visible(timeout=STAGE_MS)

    def document(self, name: str) -> Locator:
        """What the status page says of a document."""
        return self.page.locator(".document").filter(
            has=self.page.get_by_role("heading", name=name, exact=True)
        )

    def pick_replacement(self, name: str, file: FilePayload) -> Locator:
        """Pick a new version of a document, and return the field."""
        field = self.page.get_by_label(f"Replace {name}")
        field.set_input_files([file])
        return field

    def send_replacement(self, name: str) -> None:
        self.page.get_by_role("button", name=f"Send new version of {name}").click()

    def withdraw(self) -> None:
        """Withdraw the application, and confirm it."""
        self.page.get_by_role("link", name="Withdraw").click()
        self.page.get_by_role("button", name="Withdraw the application").click()
        expect(self.page).to_have_url(re.compile("/status$"))

    def pay(self) -> None:
        """Go from the status page to the provider's page, pay there, and come back."""
        self.page.get_by_role("link", name="Pay 50.00 USD").click()
        self.pay_at_checkout()

    def pay_at_checkout(self) -> None:
        """Go from the page with the fee to the provider's page, pay there, and come back."""
        self.page.get_by_role("button", name="Go to the payment page").click()
        self.page.get_by_role("button", name="Pay", exact=True).click()
        expect(self.page).to_have_url(re.compile("/status$"))
