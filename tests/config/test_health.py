from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from applications.verification import malware
from applications.verification.inspection import ocr
from config import health
from runtime.ports import free_port
from tests.applications.clamd_server import hang_up, running_clamd, serving

# What readyz says of the checks where there is everything but a scanner.
CHECKED_WITH = {"ocr": "available", "malwareScanner": "notConfigured"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def scanner(settings, monkeypatch, clock: Clock) -> health.Scanner:
    """The process's knowledge of its scanner, as at its start; none is configured."""
    settings.CLAMD_ADDRESS = ""
    scanner = health.Scanner(clock)
    monkeypatch.setattr(health, "scanner", scanner)
    return scanner


@pytest.fixture(autouse=True)
def languages(monkeypatch) -> list[str]:
    """The languages of Tesseract; a test may change them."""
    languages = ["vie", "eng"]
    monkeypatch.setattr(ocr, "available_languages", lambda: languages)
    return languages


@pytest.fixture
def database_away_later(transactional_db) -> Iterator[Callable[[], None]]:
    """A function after which the database refuses every connection."""
    with pytest.MonkeyPatch.context() as patch:

        def leave() -> None:
            connection.close()
            patch.setitem(connection.settings_dict, "PORT", str(free_port()))

        yield leave
        connection.close()


@pytest.fixture
def database_away(database_away_later: Callable[[], None]) -> None:
    database_away_later()


def test_healthz_looks_at_nothing_else(client, database_away):
    response = client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_readyz_is_ready_with_a_database(client):
    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (
        200,
        {"status": "ok", "database": "up", **CHECKED_WITH},
    )


def test_readyz_without_a_database_is_not_ready(client, database_away):
    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (
        503,
        {"status": "unavailable", "database": "down", **CHECKED_WITH},
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("installed", "state"),
    [
        ([], "missing"),
        (["eng"], "incomplete"),
        (["vie"], "incomplete"),
        (["vie", "eng"], "available"),
    ],
)
def test_readyz_says_whether_ocr_is_there_and_is_ready_without_it(
    client, languages, installed, state
):
    languages[:] = installed

    response = client.get("/readyz")

    assert (response.status_code, response.json()["ocr"]) == (200, state)


@pytest.mark.django_db
def test_readyz_says_that_the_scanner_is_up(client, settings):
    with running_clamd() as clamd:
        settings.CLAMD_ADDRESS = clamd.address
        response = client.get("/readyz")

    assert (response.status_code, response.json()["malwareScanner"]) == (200, "up")


@pytest.mark.django_db
def test_readyz_says_that_the_scanner_is_down_and_is_ready_without_it(client, settings):
    settings.CLAMD_ADDRESS = f"127.0.0.1:{free_port()}"

    response = client.get("/readyz")

    assert (response.status_code, response.json()["malwareScanner"]) == (200, "down")


def test_the_scanner_is_not_pinged_again_at_once(settings, scanner, clock):
    pings = []

    def pong(connection: socket.socket) -> None:
        pings.append(connection.recv(100))
        connection.sendall(b"PONG\0")

    with serving(pong) as settings.CLAMD_ADDRESS:
        states = [scanner.state()]
        clock.now += health.PING_AGAIN_SECONDS - 0.1
        states += [scanner.state(), scanner.state()]
        pings_so_far = len(pings)
        clock.now += 0.1
        states += [scanner.state()]

    assert (states, pings_so_far, pings) == (["up"] * 4, 1, [b"zPING\0"] * 2)


def test_a_scanner_that_is_down_is_not_pinged_again_at_once(settings, scanner, clock):
    with serving(hang_up) as settings.CLAMD_ADDRESS:
        states = [scanner.state()]
    with running_clamd() as clamd:
        settings.CLAMD_ADDRESS = clamd.address
        states += [scanner.state()]
        clock.now += health.PING_AGAIN_SECONDS
        states += [scanner.state()]

    assert states == ["down", "down", "up"]


def test_many_threads_ping_the_scanner_once(settings, monkeypatch, scanner):
    monkeypatch.setattr(malware, "PING_SECONDS", 10.0)
    pings = []
    pinged_again = threading.Event()

    def pong(connection: socket.socket) -> None:
        pings.append(connection.recv(100))
        if len(pings) == 1:
            pinged_again.wait(0.3)  # the others get the time to ping as well
        else:
            pinged_again.set()
        connection.sendall(b"PONG\0")

    with serving(pong) as settings.CLAMD_ADDRESS, ThreadPoolExecutor(8) as threads:
        states = list(threads.map(lambda _: scanner.state(), range(8)))

    assert (states, pings) == (["up"] * 8, [b"zPING\0"])


def test_the_api_without_a_database_asks_to_come_back(client, database_away):
    body = {"email": "ada@example.com", "password": "a long passphrase"}

    response = client.post("/auth/token", body, content_type="application/json")

    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert response["Retry-After"] == "2"


@pytest.mark.parametrize("path", ["/applications", "/nothing", "/auth/token"])
def test_a_page_without_a_database_is_an_error_page(student, database_away_later, path):
    browser = Client(headers={"Accept": "text/html"}, raise_request_exception=False)
    browser.force_login(student)
    database_away_later()

    response = browser.get(path)

    assert (response.status_code >= 400, "<html" in response.content.decode()) == (True, True)
