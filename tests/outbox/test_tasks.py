from __future__ import annotations

import threading

import pytest
from django.db import InterfaceError, OperationalError

from outbox import delivery, tasks, window, workers
from outbox.models import Attempt, Priority
from outbox.registry import handler
from tests.outbox.rows import QUEUE, outcomes, queued_row, state_of

pytestmark = pytest.mark.django_db
# An attempt that was cut off closes its connections, and with them the transaction of a test.
cut_off = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def never_beaten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_last_beat", float("-inf"))


def hang() -> None:
    """Wait for an event that never comes; gives up long after any attempt."""
    threading.Event().wait(30)


def waiting_row():
    """A queued row whose id waits in Redis."""
    row = queued_row()
    window.push(QUEUE, [(row.id, Priority.NORMAL)])
    return row


def test_take_turn_delivers_what_waits(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message): ...

    rows = [waiting_row() for _ in range(3)]

    tasks.take_turn(QUEUE)

    assert [outcomes(row) for row in rows] == [[(1, "succeeded")]] * 3


def test_take_turn_without_work_is_a_sign_of_life_all_the_same():
    tasks.take_turn(QUEUE)

    assert [worker.queue for worker in workers.live_workers()] == [QUEUE]


@cut_off
def test_take_turn_with_an_attempt_that_takes_too_long_ends_its_worker(handlers, short_attempts):
    @handler("thing_happened", queue="send_email")
    def work(message):
        hang()

    first, second = waiting_row(), waiting_row()

    with pytest.raises(SystemExit):
        tasks.take_turn(QUEUE)

    assert (state_of(first), outcomes(first)) == ("pending", [(1, "timed_out")])
    assert (state_of(second), window.ids(QUEUE)) == ("queued", {second.id})


@cut_off
def test_take_turn_that_takes_too_long_in_a_stopping_cluster_does_not_end_its_worker(
    handlers, short_attempts, stop_cluster
):
    @handler("thing_happened", queue="send_email")
    def work(message):
        stop_cluster()
        hang()

    row = waiting_row()

    tasks.take_turn(QUEUE)

    assert (state_of(row), outcomes(row)) == ("pending", [(1, "timed_out")])


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_take_turn_survives_a_database_that_is_away(monkeypatch, error):
    def refuse(queue, row_id):
        raise error("the database system is shutting down")

    monkeypatch.setattr(delivery, "claim", refuse)
    row = waiting_row()

    tasks.take_turn(QUEUE)

    assert state_of(row) == "queued"


@cut_off
def test_take_turn_drops_an_id_that_no_row_can_have():
    window.push(QUEUE, [(10**30, Priority.NORMAL)])

    tasks.take_turn(QUEUE)

    assert not Attempt.objects.exists()
    assert window.lengths(QUEUE).total == 0
