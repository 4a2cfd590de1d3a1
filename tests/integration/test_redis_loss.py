"""Redis loses everything, or is away for a while: PostgreSQL has it all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from outbox.models import Outbox, State
from outbox.redis_client import client as redis_client
from runtime import ports
from runtime.supervisor import Supervisor
from runtime.valkey import EmbeddedValkey
from tests.integration.backlog import (
    PATIENCE,
    QUEUE,
    all_delivered,
    attempts_of,
    delivered,
    insert_rows,
    one_success_each,
    wait_for_relay,
)
from tests.integration.clusters import CLUSTER_SETTINGS, running_clusters
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_backlog_is_delivered_once_although_redis_loses_everything(tmp_path):
    rows = insert_rows(1_000)

    with running_clusters("relay", QUEUE, state_dir=tmp_path, settings=CLUSTER_SETTINGS):
        wait_until(lambda: delivered() > 100, within=PATIENCE)
        redis_client().flushall()
        lost = Outbox.objects.exclude(state=State.DELIVERED).count()
        wait_until(lambda: all_delivered(rows), within=PATIENCE)

    assert lost > 0
    assert attempts_of(rows) == one_success_each(rows)


class StoppableValkey:
    """A Valkey whose every life has the same address and an empty memory."""

    def __init__(self, directory: Path) -> None:
        self._valkey = EmbeddedValkey(directory, password="secret", port=ports.free_port())
        self._supervisor = Supervisor(directory, say=lambda line: None)
        self.url = self._valkey.url

    def start(self) -> None:
        self._supervisor.start(self._valkey.service())
        wait_until(self._valkey.is_ready)

    def stop(self) -> None:
        self._supervisor.stop()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[StoppableValkey]:
    directory = tmp_path / "valkey"
    directory.mkdir()
    valkey = StoppableValkey(directory)
    valkey.start()
    yield valkey
    valkey.stop()


def test_clusters_outlive_a_redis_that_was_away_twice(tmp_path, valkey):
    def lose_redis() -> None:
        before = insert_rows(50)
        wait_until(lambda: all_delivered(before), within=PATIENCE)
        valkey.stop()
        during = insert_rows(50)
        wait_for_relay()
        assert attempts_of(during) == []
        valkey.start()
        wait_until(lambda: all_delivered(during), within=PATIENCE)
        assert attempts_of(before + during) == one_success_each(before + during)

    with running_clusters(
        "relay", QUEUE, state_dir=tmp_path, settings=CLUSTER_SETTINGS, redis_url=valkey.url
    ) as clusters:
        lose_redis()
        lose_redis()
        codes = [cluster.poll() for cluster in clusters.values()]

    assert codes == [None, None]
