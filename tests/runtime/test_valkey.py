from __future__ import annotations

import os
import signal
import stat

import pytest
import redis

from runtime import ports
from runtime.processes import ProcessId
from runtime.state import StateDir
from runtime.supervisor import Supervisor
from runtime.valkey import EmbeddedValkey
from tests.runtime.conftest import WaitUntil


@pytest.fixture
def valkey(state: StateDir, supervisor: Supervisor, wait_until: WaitUntil) -> EmbeddedValkey:
    valkey = EmbeddedValkey(state.path / "valkey", password="secret", port=ports.free_port())
    supervisor.start(valkey.service())
    wait_until(valkey.is_ready)
    return valkey


def test_it_needs_the_password_and_keeps_nothing(valkey: EmbeddedValkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with (
        redis.Redis.from_url(valkey.url.replace("secret", "guess")) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_the_password_is_in_a_private_file(valkey: EmbeddedValkey, state: StateDir) -> None:
    config = state.path / "valkey" / "valkey.conf"

    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_a_killed_server_is_started_again_on_the_same_port(
    valkey: EmbeddedValkey, supervisor: Supervisor, wait_until: WaitUntil
) -> None:
    pid = supervisor.pid("valkey")
    assert pid
    first = ProcessId.of(pid)
    os.kill(first.pid, signal.SIGKILL)

    def is_back() -> bool:
        supervisor.tick()
        return not first.lives() and valkey.is_ready()

    wait_until(is_back)


def test_it_is_not_ready_once_it_has_stopped(
    valkey: EmbeddedValkey, supervisor: Supervisor
) -> None:
    supervisor.stop()

    assert not valkey.is_ready()
