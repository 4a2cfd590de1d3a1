from __future__ import annotations

import pytest
import redis
from django.contrib import admin
from django.db import connection
from django_q import conf  # noqa: TID251
from django_q.models import Failure, OrmQ, Schedule, Success  # noqa: TID251
from django_q.signing import SignedPackage  # noqa: TID251

from outbox import broker, tasks, window
from outbox.broker import OutboxBroker, prefer_indexes, run_cluster, turn_task, write_schedules
from outbox.models import Priority
from outbox.queues import RELAY_CLUSTER
from outbox.redis_client import client as redis_client
from runtime.ports import free_port
from tests.outbox.rows import QUEUE

WORKERS = 3


@pytest.fixture
def queue_broker(monkeypatch: pytest.MonkeyPatch) -> OutboxBroker:
    """The broker of QUEUE's cluster of three workers, which does not wait at an empty queue.

    It gave its last turns just now.
    """
    monkeypatch.setattr(broker, "POP_SECONDS", 0.01)
    monkeypatch.setattr(broker, "RECONNECT_SECONDS", 0)
    monkeypatch.setattr(conf.Conf, "WORKERS", WORKERS)
    queue_broker = OutboxBroker(list_key=QUEUE)
    queue_broker.dequeue()
    return queue_broker


def turns(messages: list[tuple[None, bytes | str]] | None) -> list[tuple[str, tuple[str, ...]]]:
    """The function and arguments of each task that the cluster was given."""
    packages = [SignedPackage.loads(body) for _, body in messages or []]
    return [(package["func"], package["args"]) for package in packages]


@pytest.mark.parametrize(("waiting", "given"), [(1, 1), (2, 2), (3, 3), (4, 3), (100, 3)])
def test_dequeue_gives_a_turn_for_each_id_up_to_the_number_of_workers(
    queue_broker, waiting: int, given: int
):
    window.push(QUEUE, [(row_id, Priority.LOW) for row_id in range(waiting)])

    assert turns(queue_broker.dequeue()) == [(broker.TAKE_TURN, (QUEUE,))] * given


def test_dequeue_leaves_the_ids_in_redis(queue_broker):
    window.push(QUEUE, [(1, Priority.LOW), (2, window.AGED)])

    queue_broker.dequeue()

    assert window.ids(QUEUE) == {1, 2}


def test_dequeue_of_an_empty_queue_gives_nothing(queue_broker):
    assert queue_broker.dequeue() is None


def test_dequeue_of_another_queue_gives_nothing(queue_broker):
    window.push("create_payment", [(1, Priority.NORMAL)])

    assert queue_broker.dequeue() is None


def test_dequeue_gives_turns_also_for_ids_whose_bell_was_lost(queue_broker):
    window.push(QUEUE, [(1, Priority.NORMAL)])
    redis_client().delete(window.bell_key(QUEUE))

    assert len(turns(queue_broker.dequeue())) == 1


def test_dequeue_gives_every_worker_a_turn_when_nothing_was_to_be_done_for_a_while(
    queue_broker, monkeypatch
):
    monkeypatch.setattr(broker, "PING_SECONDS", 0)
    first = turns(queue_broker.dequeue())
    monkeypatch.setattr(broker, "PING_SECONDS", 3600)

    assert first == [(broker.TAKE_TURN, (QUEUE,))] * WORKERS
    assert queue_broker.dequeue() is None


def test_dequeue_of_a_new_cluster_gives_every_worker_a_turn(monkeypatch):
    monkeypatch.setattr(broker, "POP_SECONDS", 0.01)
    monkeypatch.setattr(conf.Conf, "WORKERS", WORKERS)

    assert len(turns(OutboxBroker(list_key=QUEUE).dequeue())) == WORKERS


def test_dequeue_with_redis_away_gives_signs_of_life_all_the_same(queue_broker, monkeypatch):
    queue_broker.connection = redis.Redis.from_url(f"redis://127.0.0.1:{free_port()}/0")

    assert queue_broker.dequeue() is None
    monkeypatch.setattr(broker, "PING_SECONDS", 0)
    assert len(turns(queue_broker.dequeue())) == WORKERS


def test_dequeue_goes_on_after_its_connection_broke(queue_broker):
    window.push(QUEUE, [(1, Priority.NORMAL)])
    redis_client().client_kill_filter(_type="normal", skipme=True)

    given = [turns(queue_broker.dequeue()), turns(queue_broker.dequeue())]

    assert [turn for turn in given if turn][0] == [(broker.TAKE_TURN, (QUEUE,))]


def test_dequeue_with_a_list_of_the_wrong_type_raises_nothing(queue_broker):
    redis_client().set(f"outbox:{QUEUE}:0", "not a list")

    assert queue_broker.dequeue() is None


def test_dequeue_of_a_stopping_cluster_gives_nothing(queue_broker, stop_cluster, monkeypatch):
    monkeypatch.setattr(broker, "DRAINED_SECONDS", 0)
    monkeypatch.setattr(broker, "PING_SECONDS", 0)
    window.push(QUEUE, [(1, Priority.NORMAL)])
    stop_cluster()

    assert queue_broker.dequeue() is None


def test_dequeue_of_the_relays_cluster_passes_its_ready_made_tasks_on(monkeypatch):
    monkeypatch.setattr(broker, "POP_SECONDS", 0.01)
    relay_broker = OutboxBroker(list_key=RELAY_CLUSTER)
    broker.enqueue_relay_run()

    assert relay_broker.queue_size() == 1
    assert turns(relay_broker.dequeue()) == [(broker.RUN_RELAY, ())]
    assert relay_broker.dequeue() is None


def test_queue_size_counts_the_ids_of_all_lists(queue_broker):
    window.push(QUEUE, [(1, Priority.CRITICAL), (2, Priority.LOW), (3, window.AGED)])

    assert queue_broker.queue_size() == 3


def test_turn_task_is_what_a_worker_runs():
    task = SignedPackage.loads(turn_task(QUEUE))

    assert (task["func"], task["args"], task["kwargs"]) == (broker.TAKE_TURN, (QUEUE,), {})
    assert f"{tasks.take_turn.__module__}.{tasks.take_turn.__qualname__}" == broker.TAKE_TURN
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


@pytest.mark.django_db
def test_prefer_indexes_keeps_the_planner_from_reading_whole_tables():
    prefer_indexes(connection=connection)

    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_seqscan")
        assert cursor.fetchone() == ("off",)
        cursor.execute("RESET enable_seqscan")


def test_run_cluster_refuses_a_name_that_django_q2_was_not_told():
    with pytest.raises(RuntimeError, match="Q_CLUSTER_NAME is .*, not no_such_queue"):
        run_cluster("no_such_queue")
