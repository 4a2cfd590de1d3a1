"""A worker whose connection to PostgreSQL breaks in the middle of an attempt."""

from __future__ import annotations

import dataclasses

import pytest
from django.db import OperationalError, connection, connections

from outbox import repair
from outbox.models import Attempt, Outbox
from outbox.queues import queues
from outbox.registry import handler
from outbox.services import Event, publish
from tests.integration.concurrently import another_connection, ask, in_thread, terminate_backend
from tests.outbox.rows import QUEUE, outcomes, pending_row, queued_row, state_of
from tests.working import deliver_one

pytestmark = pytest.mark.django_db(transaction=True)


def my_pid() -> int:
    return int(ask(connection, "SELECT pg_backend_pid()"))


@pytest.mark.parametrize("where", ["work", "finish"])
def test_outcome_is_recorded_although_the_connection_was_cut_off(handlers, where: str):
    runs = []

    def finish():
        runs.append("finish")
        if where == "finish" and len(runs) == 1:
            terminate_backend(my_pid())
        publish(Event("thing_happened"))

    @handler("thing_happened", queue="send_email")
    def work(message):
        if where == "work":
            terminate_backend(my_pid())
        return finish

    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "succeeded"
    assert (state_of(row), outcomes(row)) == ("delivered", [(1, "succeeded")])
    assert Outbox.objects.filter(state="pending").count() == 1


def test_failure_is_recorded_although_the_connection_was_cut_off(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message):
        terminate_backend(my_pid())
        Outbox.objects.count()

    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "failed"
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "failed")])
    assert Attempt.objects.get().error_class == "OperationalError"


@pytest.mark.parametrize("committed", [True, False])
def test_outcome_is_written_once_although_nobody_told_whether_the_commit_took_place(
    handlers, monkeypatch, committed: bool
):
    @handler("thing_happened", queue="send_email")
    def work(message):
        monkeypatch.setattr(connections["default"], "_commit", cut_off)
        return lambda: publish(Event("thing_happened"))

    def cut_off():
        monkeypatch.undo()
        monkeypatch.setattr("outbox.registry._handlers", handlers)
        if committed:
            connection.connection.commit()
        connection.connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "succeeded"
    assert (state_of(row), outcomes(row)) == ("delivered", [(1, "succeeded")])
    assert Outbox.objects.filter(state="pending").count() == 1


def test_worker_that_was_cut_off_and_has_lost_its_lease_has_not_succeeded(handlers):
    """The token of an expired lease must not look like that of a commit that took place."""
    pids = []

    @handler("thing_happened", queue="send_email")
    def work(message):
        return finish

    def finish():
        if pids:
            return
        pids.append(my_pid())
        terminate_backend(pids[0])
        with another_connection() as other:
            ask(other, "UPDATE outbox SET lease_expires_at = now() - interval '1 second'")
        assert in_thread(repair.expire_leases).result(20) == 1

    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "lease_expired"
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "lease_expired")])


def test_attempt_that_is_cut_off_while_it_waits_for_a_lock_is_recorded(handlers, monkeypatch):
    """The statement must not go on in PostgreSQL, where it holds the row's own lock."""
    short = dataclasses.replace(queues()[QUEUE], timeout_seconds=0.3)
    monkeypatch.setitem(queues(), QUEUE, short)
    wanted = pending_row(handler="locked by somebody else")

    def start(message):
        Outbox.objects.select_for_update().get(pk=wanted.pk)

    @handler("thing_happened", queue="send_email", start=start)
    def work(message): ...

    row = queued_row()
    with another_connection() as other:
        other.set_autocommit(False)
        ask(other, "SELECT id FROM outbox WHERE id = %s FOR UPDATE", wanted.id)
        result = deliver_one(QUEUE, row.id)
        other.rollback()
        other.set_autocommit(True)

    assert result == "timed_out"
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "timed_out")])
