from __future__ import annotations

import base64

import pytest

from runtime.environment import build_environment
from runtime.state import StateDir


@pytest.fixture(autouse=True)
def fresh_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "BASE_URL", "SANDBOX_URL", "SANDBOX_WEBHOOK_SECRET", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)


def build(state: StateDir) -> dict[str, str]:
    return build_environment(
        state,
        database_url="postgresql://here",
        redis_url="redis://here",
        port=8000,
        sandbox_port=8001,
    )


def test_environment_is_complete_and_the_same_at_the_next_start(state: StateDir) -> None:
    first = build(state)

    assert first == build(StateDir(state.path))
    assert first["BASE_URL"] == "http://127.0.0.1:8000"
    assert first["SANDBOX_URL"] == "http://127.0.0.1:8001"
    assert first["DATABASE_URL"] == "postgresql://here"
    assert first["REDIS_URL"] == "redis://here"
    assert first["STATE_DIR"] == str(state.path)


def test_webhook_secret_is_written_as_standard_webhooks_wants_it(state: StateDir) -> None:
    prefix, key = build(state)["SANDBOX_WEBHOOK_SECRET"].split("_", 1)

    assert prefix == "whsec"
    assert len(base64.b64decode(key)) == 32


def test_what_the_user_set_wins_and_is_not_kept(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "from the user")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    environment = build(state)
    monkeypatch.delenv("SECRET_KEY")

    assert (environment["SECRET_KEY"], environment["LOG_LEVEL"]) == ("from the user", "DEBUG")
    assert build(state)["SECRET_KEY"] != "from the user"


def test_an_empty_variable_counts_as_unset(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "")

    assert len(build(state)["SECRET_KEY"]) > 50
