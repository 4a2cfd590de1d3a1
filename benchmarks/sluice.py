"""Sluice as it is measured: the relay's cluster, and the cluster of one queue."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from django.db import connection, transaction
from django.db.models import Max

from benchmarks.contract import Record
from outbox.models import Attempt, Outbox, Outcome, State
from outbox.queues import RELAY_CLUSTER
from outbox.redis_client import client
from outbox.services import Event, publish, publish_many
from runtime.service import Service
from runtime.services import services

QUEUE = "send_email"


class Sluice:
    """Clears its tables between two measurements, unless `keep_rows`: then they grow."""

    label = "relay, 1 cluster of 2 workers"

    def __init__(self, environment: Mapping[str, str], *, keep_rows: bool = False) -> None:
        self._environment = environment
        self._keep_rows = keep_rows
        self._last_id_before = 0

    def services(self) -> list[Service]:
        everything = services(self._environment, port=0, sandbox_port=None)
        return [service for service in everything if service.name in {RELAY_CLUSTER, QUEUE}]

    def publish_many(self, keys: Sequence[int]) -> None:
        with transaction.atomic():
            publish_many([_event(key) for key in keys])

    def publish_one(self, key: int) -> None:
        with transaction.atomic():
            publish(_event(key))

    def record(self) -> Record:
        rows = Outbox.objects.filter(
            pk__gt=self._last_id_before, state=State.DELIVERED, attempt_count=1
        )
        attempts = Attempt.objects.filter(
            outbox_id__gt=self._last_id_before, number=1, outcome=Outcome.SUCCEEDED
        )
        last = attempts.aggregate(last=Max("ended_at"))["last"]
        return Record(
            succeeded=min(rows.count(), attempts.count()),
            last_end_ns=int(last.timestamp() * 1e9) if last else 0,
        )

    def clear(self) -> None:
        client().flushall()
        if not self._keep_rows:
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE outbox CASCADE")
        self._last_id_before = Outbox.objects.aggregate(last=Max("pk"))["last"] or 0


def _event(key: int) -> Event:
    return Event("bench_noop", payload={"key": key}, aggregate_id=uuid.uuid4())
