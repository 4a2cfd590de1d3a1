from __future__ import annotations

import pytest
import redis
from django.contrib import admin
from django_q.models import Failure, OrmQ, Schedule, Success  # noqa: TID251
from django_q.signing import SignedPackage  # noqa: TID251

from outbox import broker, tasks, window
from outbox.broker import OutboxBroker, delivery_task, write_schedules
from outbox.models import Priority
from outbox.redis_client import client as redis_client
from runtime.ports import free_port
from tests.outbox.rows import QUEUE


@pytest.fixture
def queue_broker(monkeypatch: pytest.MonkeyPatch) -> OutboxBroker:
    """The broker of QUEUE's cluster, which does not wait at an empty queue."""
    monkeypatch.setattr(broker, "POP_SECONDS", 0.01)
    return OutboxBroker(list_key=QUEUE)


def popped_id(messages: list[tuple[None, bytes | str]] | None) -> int:
    assert messages is not None
    ((receipt, body),) = messages
    assert receipt is None
    queue, row_id = SignedPackage.loads(body)["args"]
    assert queue == QUEUE
    return row_id


def test_dequeue_pops_the_most_urgent_id_first(queue_broker):
    window.push(QUEUE, [(40, 3), (30, 2), (31, 2), (20, 1), (10, 0), (41, 3), (11, 0)])

    order = [popped_id(queue_broker.dequeue()) for _ in range(7)]

    assert order == [10, 11, 20, 30, 31, 40, 41]
    assert queue_broker.dequeue() is None


def test_dequeue_lets_a_late_urgent_id_overtake(queue_broker):
    window.push(QUEUE, [(1, Priority.LOW), (2, Priority.LOW)])
    first = popped_id(queue_broker.dequeue())
    window.push(QUEUE, [(3, Priority.CRITICAL)])

    assert (first, popped_id(queue_broker.dequeue())) == (1, 3)


def test_dequeue_of_another_queue_gets_nothing(queue_broker):
    window.push("create_payment", [(1, Priority.NORMAL)])

    assert queue_broker.dequeue() is None
    assert window.ids("create_payment") == {1}


@pytest.mark.parametrize("garbage", [b"", b"-1", b"1.5", b"\xb2", b"\xff\x00", b"gASVCg=="])
def test_dequeue_drops_what_is_not_an_id(queue_broker, garbage: bytes):
    redis_client().rpush(f"outbox:{QUEUE}:0", garbage)
    window.push(QUEUE, [(7, Priority.LOW)])

    assert queue_broker.dequeue() is None
    assert popped_id(queue_broker.dequeue()) == 7
    assert queue_broker.queue_size() == 0


def test_dequeue_passes_a_ready_made_task_through_after_all_ids(queue_broker):
    task = delivery_task(QUEUE, 5)
    queue_broker.enqueue(task)
    window.push(QUEUE, [(1, Priority.LOW)])

    assert queue_broker.queue_size() == 2
    assert popped_id(queue_broker.dequeue()) == 1
    assert queue_broker.dequeue() == [(None, task.encode())]


def test_dequeue_with_redis_away_gives_nothing_and_raises_nothing(queue_broker, monkeypatch):
    monkeypatch.setattr(broker, "RECONNECT_SECONDS", 0)
    queue_broker.connection = redis.Redis.from_url(f"redis://127.0.0.1:{free_port()}/0")

    assert queue_broker.dequeue() is None


def test_dequeue_goes_on_after_its_connection_broke(queue_broker, monkeypatch):
    monkeypatch.setattr(broker, "RECONNECT_SECONDS", 0)
    queue_broker.dequeue()
    window.push(QUEUE, [(1, Priority.NORMAL)])
    redis_client().client_kill_filter(_type="normal", skipme=True)

    popped = [queue_broker.dequeue(), queue_broker.dequeue()]

    assert [popped_id(messages) for messages in popped if messages] == [1]


def test_dequeue_with_a_list_of_the_wrong_type_raises_nothing(queue_broker, monkeypatch):
    monkeypatch.setattr(broker, "RECONNECT_SECONDS", 0)
    redis_client().set(f"outbox:{QUEUE}:0", "not a list")

    assert queue_broker.dequeue() is None


def test_delivery_task_is_what_a_worker_runs():
    task = SignedPackage.loads(delivery_task(QUEUE, 7))

    assert (task["func"], task["args"], task["kwargs"]) == (broker.DELIVER, (QUEUE, 7), {})
    assert f"{tasks.deliver.__module__}.{tasks.deliver.__qualname__}" == broker.DELIVER
    assert f"{tasks.run_relay.__module__}.{tasks.run_relay.__qualname__}" == broker.RUN_RELAY


def test_get_connection_waits_longer_than_a_pop_may():
    options = OutboxBroker.get_connection().connection_pool.connection_kwargs

    assert options["socket_timeout"] > broker.POP_SECONDS


@pytest.mark.django_db
def test_write_schedules_leaves_only_our_own(settings):
    Schedule.objects.create(name="somebody else's", func="print", args="(((")
    Schedule.objects.create(name=broker.RELAY_SCHEDULE, func="damaged", args="(((")

    write_schedules()
    write_schedules()

    rows = Schedule.objects.order_by("name").values_list("name", "func", "args", "cluster")
    expected = {name: task["func"] for name, task in settings.PERIODIC_TASKS.items()}
    expected[broker.RELAY_SCHEDULE] = broker.RUN_RELAY
    assert list(rows) == [(name, func, None, "relay") for name, func in sorted(expected.items())]


def test_admin_of_django_q2_is_taken_out():
    models = (Schedule, Success, Failure, OrmQ)

    assert [model for model in models if admin.site.is_registered(model)] == []
