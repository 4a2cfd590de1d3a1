from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from outbox import broker, delivery, tasks
from outbox.models import Attempt, Outbox
from outbox.queues import queues
from outbox.registry import handler
from tests.outbox.rows import QUEUE, outcomes, pending_row, queued_row, seconds_until_due, state_of

pytestmark = pytest.mark.django_db
# An attempt that was cut off closes its connections, and with them the transaction of a test.
cut_off = pytest.mark.django_db(transaction=True)


@pytest.fixture
def short_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt of QUEUE may take a tenth of a second."""
    short = dataclasses.replace(queues()[QUEUE], timeout_seconds=0.1)
    monkeypatch.setitem(queues(), QUEUE, short)


@pytest.fixture
def outer_alarm() -> Iterator[list[int]]:
    """A longer time limit around the test, as django-q2 sets one; the list notes its signals."""
    rung: list[int] = []
    former = signal.signal(signal.SIGALRM, lambda signum, frame: rung.append(signum))
    signal.setitimer(signal.ITIMER_REAL, 60)
    yield rung
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)


def hang() -> None:
    """Wait for an event that never comes; gives up long after any attempt."""
    threading.Event().wait(30)


@cut_off
def test_deliver_task_of_an_attempt_that_takes_too_long_ends_its_worker(handlers, short_attempts):
    @handler("thing_happened", queue="send_email")
    def work(message):
        hang()

    row = queued_row()

    with pytest.raises(SystemExit):
        tasks.deliver(QUEUE, row.id)

    assert (state_of(row), outcomes(row)) == ("pending", [(1, "timed_out")])
    attempt = Attempt.objects.get()
    assert attempt.error_class == "AttemptTimedOut"
    assert "in hang" in attempt.traceback
    assert seconds_until_due(row) > 0


@cut_off
def test_deliver_cuts_off_a_handler_that_catches_every_exception(handlers, short_attempts):
    @handler("thing_happened", queue="send_email")
    def work(message):
        try:
            hang()
        except Exception:
            return

    row = queued_row()

    assert delivery.deliver(QUEUE, row.id) == "timed_out"
    assert state_of(row) == "pending"


@cut_off
def test_deliver_rolls_back_a_start_that_takes_too_long(handlers, short_attempts):
    def start(message):
        pending_row(handler="started")
        hang()

    @handler("thing_happened", queue="send_email", start=start)
    def work(message): ...

    row = queued_row()

    assert delivery.deliver(QUEUE, row.id) == "timed_out"
    assert not Outbox.objects.filter(handler="started").exists()
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "timed_out")])


@cut_off
def test_deliver_makes_a_dead_letter_when_the_last_attempt_takes_too_long(handlers, short_attempts):
    died = []

    @handler("thing_happened", queue="send_email", on_dead=died.append)
    def work(message):
        hang()

    row = queued_row(max_attempts=1)

    delivery.deliver(QUEUE, row.id)

    row.refresh_from_db()
    assert (row.state, row.dead_reason, len(died)) == ("dead", "exhausted", 1)


@cut_off
@pytest.mark.parametrize("hangs", [False, True])
def test_deliver_gives_the_outer_time_limit_its_timer_back(
    handlers, short_attempts, outer_alarm, hangs: bool
):
    outer = signal.getsignal(signal.SIGALRM)

    @handler("thing_happened", queue="send_email")
    def work(message):
        if hangs:
            hang()

    delivery.deliver(QUEUE, queued_row().id)

    left, _ = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < left < 60
    assert (signal.getsignal(signal.SIGALRM), outer_alarm) == (outer, [])


def test_time_limit_that_used_up_the_outer_limit_lets_it_ring(outer_alarm):
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    with delivery.time_limit(30):
        wait_until = time.monotonic() + 0.01
        while time.monotonic() < wait_until:
            pass

    deadline = time.monotonic() + 5
    while not outer_alarm and time.monotonic() < deadline:
        pass

    assert outer_alarm == [signal.SIGALRM]


def test_time_limit_leaves_no_timer_behind():
    with delivery.time_limit(30):
        pass

    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_deliver_task_of_a_stopping_cluster_starts_nothing(handlers, monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setattr(broker, "_drain_reader", reader)
    worked = []

    @handler("thing_happened", queue="send_email")
    def work(message):
        worked.append(message.id)

    first, second = queued_row(), queued_row()
    tasks.deliver(QUEUE, first.id)
    os.close(writer)
    tasks.deliver(QUEUE, second.id)
    os.close(reader)

    assert worked == [first.id]
    assert (state_of(second), outcomes(second)) == ("queued", [])


@cut_off
def test_deliver_task_that_takes_too_long_in_a_stopping_cluster_does_not_end_its_worker(
    handlers, short_attempts, monkeypatch
):
    reader, writer = os.pipe()
    monkeypatch.setattr(broker, "_drain_reader", reader)

    @handler("thing_happened", queue="send_email")
    def work(message):
        os.close(writer)
        hang()

    row = queued_row()
    tasks.deliver(QUEUE, row.id)
    os.close(reader)

    assert (state_of(row), outcomes(row)) == ("pending", [(1, "timed_out")])


def test_deliver_task_survives_a_database_that_is_away(monkeypatch):
    def refuse(queue, row_id):
        raise OperationalError("the database system is shutting down")

    monkeypatch.setattr(delivery, "claim", refuse)
    row = queued_row()

    tasks.deliver(QUEUE, row.id)

    assert state_of(row) == "queued"


@cut_off
def test_deliver_task_of_an_id_that_no_row_can_have_is_dropped():
    tasks.deliver(QUEUE, 10**30)

    assert not Attempt.objects.exists()
