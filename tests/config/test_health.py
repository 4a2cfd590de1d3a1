from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.test import Client

from runtime.ports import free_port


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

    assert (response.status_code, response.json()) == (200, {"status": "ok", "database": "up"})


def test_readyz_without_a_database_is_not_ready(client, database_away):
    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (
        503,
        {"status": "unavailable", "database": "down"},
    )


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
