"""From the row to the handler and back, through django-q2's own worker code in this process."""

from __future__ import annotations

import dataclasses
import queue
import threading
from multiprocessing import Value
from typing import Any

import pytest
from django.db import transaction
from django_q.signing import SignedPackage  # noqa: TID251
from django_q.worker import worker  # noqa: TID251

from outbox import broker, relay, window
from outbox.broker import OutboxBroker
from outbox.models import Outbox, Priority
from outbox.queues import queues
from outbox.redis_client import client as redis_client
from outbox.registry import Message, handler
from outbox.services import Event, publish
from tests.outbox.rows import QUEUE, outcomes, state_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def short_pops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "POP_SECONDS", 0.01)


def publish_one(**options: Any) -> Outbox:
    with transaction.atomic():
        published = publish(Event("thing_happened", **options))
    return Outbox.objects.get(pk=published.row_ids[0])


def work_off() -> list[bool]:
    """Be the pusher and a worker for what is on the lists; return whether each turn went well."""
    tasks: queue.Queue[Any] = queue.Queue()
    results: queue.Queue[Any] = queue.Queue()
    for _, package in OutboxBroker(list_key=QUEUE).dequeue() or []:
        tasks.put({**SignedPackage.loads(package), "ack_id": None})
    tasks.put("STOP")
    worker(tasks, results, Value("f", -1), 20)
    return [task["success"] for task in results.queue]


def test_published_row_is_delivered(handlers):
    seen = []

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        seen.append(message.payload)

    row = publish_one(payload={"a": 1})
    relay.Relay().tick()

    assert work_off() == [True]
    assert (seen, state_of(row), outcomes(row)) == ([{"a": 1}], "delivered", [(1, "succeeded")])


def test_urgent_rows_are_delivered_first(handlers):
    seen = []

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        seen.append(message.payload["n"])

    for n, priority in enumerate((3, 2, 1, 0, 2, Priority.CRITICAL)):
        publish_one(payload={"n": n}, priority=priority)
    relay.Relay().tick()
    work_off()

    assert seen == [3, 5, 2, 1, 4, 0]


def test_failure_of_a_handler_is_none_of_the_worker(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message):
        raise ValueError("no luck")

    row = publish_one()
    relay.Relay().tick()

    assert work_off() == [True]
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "failed")])


def test_timeout_of_an_attempt_ends_the_worker(handlers, monkeypatch):
    short = dataclasses.replace(queues()[QUEUE], timeout_seconds=0.1)
    monkeypatch.setitem(queues(), QUEUE, short)

    @handler("thing_happened", queue="send_email")
    def work(message):
        threading.Event().wait(30)

    row = publish_one()
    relay.Relay().tick()

    with pytest.raises(SystemExit):
        work_off()
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "timed_out")])


def test_stale_and_double_ids_on_a_list_do_no_harm(handlers):
    seen = []

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        seen.append(message.id)

    row = publish_one()
    relay.Relay().tick()
    redis_client().rpush(f"outbox:{QUEUE}:2", row.id, 999_999_999, row.id)

    assert work_off() == [True, True]  # a turn for each worker
    assert window.ids(QUEUE) == set()
    assert (seen, outcomes(row)) == ([row.id], [(1, "succeeded")])


def test_rows_are_delivered_once_although_redis_lost_them(handlers):
    seen = []

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        seen.append(message.id)

    rows = [publish_one().id for _ in range(5)]
    current = relay.Relay()
    current.tick()
    redis_client().flushall()
    work_off()
    assert seen == []
    Outbox.objects.update(queued_at="2000-01-01T00:00:00Z")
    current.repair()
    current.tick()
    work_off()

    assert seen == rows
    assert set(Outbox.objects.values_list("state", "attempt_count")) == {("delivered", 1)}
