"""One running system for the tests of this package, and a browser to use it with."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

from runtime import ports
from runtime.postgres_files import remove_data_dir
from tests.e2e.running_system import RunningSystem
from tests.e2e.student import Student

ARGUMENTS = (
    "--no-sandbox",  # Chromium's own does not start for root
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# What a page may be late by on a busy machine before a test gives up.
PATIENCE_MS = 30_000

NewPage = Callable[..., Page]


@pytest.fixture(scope="package")
def system() -> Iterator[RunningSystem]:
    """A whole Sluice: `address` to send requests to, `state_dir` to look into."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-test-")).resolve()
    folder.chmod(0o755)  # PostgreSQL may have a user of its own, who has to get through
    system = RunningSystem(folder / "state", ports.free_port(), folder / "output.txt")
    try:
        system.wait_until_ready()
        yield system
    finally:
        if not system.is_ended():
            system.stop()
        remove_data_dir(folder / "state" / "postgres")
        shutil.rmtree(folder)


# Not kept for the whole session: while it runs, Django allows no queries in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; where there is none the test is skipped, in CI it fails."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "There is no chromium, so nothing was tested in a browser: apt install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser, system: RunningSystem) -> Iterator[NewPage]:
    """Make a page in a browser profile of its own; a breach of the CSP fails the test."""
    contexts: list[BrowserContext] = []
    breaches: list[str] = []

    def new_page(**options: object) -> Page:
        context = browser.new_context(base_url=system.address, **options)  # type: ignore[arg-type] # options of Playwright
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: breaches.extend(_breach(message.text)))
        page.on("pageerror", lambda error: breaches.append(str(error)))
        return page

    yield new_page
    for context in contexts:
        context.close()
    assert breaches == []


def _breach(message: str) -> list[str]:
    return [message] if "Content Security Policy" in message else []


@pytest.fixture(scope="module")
def signed_in(browser: Browser, system: RunningSystem) -> StorageState:
    """The cookies of the demo student, for tests that are not about signing in."""
    with browser.new_context(base_url=system.address) as context:
        page = context.new_page()
        page.goto("/sign-in")
        page.get_by_label("E-mail address").fill("student@example.com")
        page.get_by_label("Password").fill("sluice-demo")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="My applications")).to_be_visible()
        return context.storage_state()


@pytest.fixture
def new_student(new_page: NewPage, signed_in: StorageState) -> Callable[..., Student]:
    """Open a profile of a signed-in student, who is at the form to apply."""

    def new_student(**options: object) -> Student:
        page = new_page(storage_state=signed_in, **options)
        page.goto("/apply")
        return Student(page)

    return new_student
