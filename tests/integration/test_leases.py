"""A worker that has lost its lease, or its connection, in the middle of an attempt."""

from __future__ import annotations

import dataclasses

import pytest
from django.db import OperationalError, connection, connections

from outbox import delivery, relay
from outbox.delivery import Lease, claim, deliver
from outbox.exceptions import PermanentError
from outbox.models import Attempt, Outbox
from outbox.queues import get_queue, queues
from outbox.registry import Message, handler
from outbox.services import Event, publish
from tests.integration.concurrently import (
    another_connection,
    ask,
    at_once,
    in_thread,
    terminate_backend,
)
from tests.outbox.rows import QUEUE, move_time, outcomes, pending_row, queued_row, state_of

pytestmark = pytest.mark.django_db(transaction=True)


def my_pid() -> int:
    return int(ask(connection, "SELECT pg_backend_pid()"))


def lose_lease(row: Outbox, *, to_another_worker: bool) -> Lease | None:
    """The relay takes the row back, and another worker may get it."""
    move_time(row, "lease_expires_at", -1)
    assert relay.expire_leases() == 1
    if not to_another_worker:
        return None
    assert relay.move_due(QUEUE, limit=1) == 1
    return claim(get_queue(QUEUE), row.id)


def test_workers_at_once_with_the_same_id_one_gets_the_row():
    row = queued_row()

    leases = at_once(*[lambda: claim(get_queue(QUEUE), row.id)] * 4)

    assert leases.count(None) == 3
    row.refresh_from_db()
    assert row.attempt_count == 1
    assert outcomes(row) == [(1, "running")]


@pytest.mark.parametrize("to_another_worker", [True, False])
@pytest.mark.parametrize("error", [None, ValueError("too late"), PermanentError("too late")])
def test_outcome_of_a_worker_that_has_lost_its_lease_changes_nothing(
    handlers, error: Exception | None, to_another_worker: bool
):
    died = []

    @handler("thing_happened", queue="send_email", on_dead=lambda m: died.append(m.id))
    def work(message: Message):
        lose_lease(row, to_another_worker=to_another_worker)
        if error is not None:
            raise error
        return lambda: publish(Event("thing_happened"))

    row = queued_row(max_attempts=2)
    deliver(QUEUE, row.id)

    open_attempt = [(2, "running")] if to_another_worker else []
    assert outcomes(row) == [(1, "lease_expired"), *open_attempt]
    assert state_of(row) == ("processing" if to_another_worker else "pending")
    assert (Outbox.objects.count(), died) == (1, [])


def test_start_of_a_worker_that_has_lost_its_lease_is_not_run(handlers):
    steps = []

    @handler("thing_happened", queue="send_email", start=lambda m: steps.append("start"))
    def work(message):
        steps.append("work")

    row = queued_row()
    lease = claim(get_queue(QUEUE), row.id)
    assert lease is not None
    second = lose_lease(row, to_another_worker=True)

    assert delivery._attempt(lease, handlers["work"]) == "lease_expired"
    assert steps == []
    row.refresh_from_db()
    assert second is not None
    assert (row.state, row.lease_token) == ("processing", second.token)


def test_second_worker_delivers_what_the_first_has_lost(handlers):
    effects = []

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        if message.attempt == 1:
            lose_lease(row, to_another_worker=False)
            relay.move_due(QUEUE, limit=1)
            assert deliver(QUEUE, row.id) == "succeeded"
        return lambda: effects.append(message.attempt)

    row = queued_row()

    assert deliver(QUEUE, row.id) == "lease_expired"
    assert (state_of(row), effects) == ("delivered", [2])
    assert outcomes(row) == [(1, "lease_expired"), (2, "succeeded")]


def test_start_is_committed_before_the_work_begins(handlers):
    seen = []

    @handler("thing_happened", queue="send_email", start=lambda m: pending_row(handler="started"))
    def work(message):
        with another_connection() as other:
            seen.append(ask(other, "SELECT count(*) FROM outbox WHERE handler = 'started'"))
            seen.append(ask(other, "SELECT state FROM outbox WHERE id = %s", message.id))

    deliver(QUEUE, queued_row().id)

    assert seen == [1, "processing"]


def test_effects_of_finish_are_seen_by_others_only_with_the_outcome(handlers):
    seen = []

    def finish():
        publish(Event("thing_happened"))
        with another_connection() as other:
            seen.append(ask(other, "SELECT array_agg(state) FROM outbox"))

    @handler("thing_happened", queue="send_email")
    def work(message):
        return finish

    deliver(QUEUE, queued_row().id)

    assert seen == [["processing"]]
    assert set(Outbox.objects.values_list("state", flat=True)) == {"delivered", "pending"}


def test_relay_does_not_expire_a_row_whose_outcome_is_being_written(handlers):
    expired = []

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        move_time(row, "lease_expires_at", -1)
        return lambda: expired.append(in_thread(relay.expire_leases).result(20))

    row = queued_row()

    assert deliver(QUEUE, row.id) == "succeeded"
    assert (expired, state_of(row)) == ([0], "delivered")


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

    assert deliver(QUEUE, row.id) == "succeeded"
    assert (state_of(row), outcomes(row)) == ("delivered", [(1, "succeeded")])
    assert Outbox.objects.filter(state="pending").count() == 1


def test_failure_is_recorded_although_the_connection_was_cut_off(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message):
        terminate_backend(my_pid())
        Outbox.objects.count()

    row = queued_row()

    assert deliver(QUEUE, row.id) == "failed"
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

    assert deliver(QUEUE, row.id) == "succeeded"
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
        assert in_thread(relay.expire_leases).result(20) == 1

    row = queued_row()

    assert deliver(QUEUE, row.id) == "lease_expired"
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
        result = deliver(QUEUE, row.id)
        other.rollback()
        other.set_autocommit(True)

    assert result == "timed_out"
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "timed_out")])
