"""A worker that has lost its lease, or its connection, in the middle of an attempt."""

from __future__ import annotations

import pytest

from outbox import relay, repair
from outbox.delivery import Lease, claim, deliver
from outbox.exceptions import PermanentError
from outbox.models import Outbox
from outbox.queues import get_queue
from outbox.registry import Message, handler
from outbox.services import Event, publish
from tests.integration.concurrently import (
    another_connection,
    ask,
    at_once,
    in_thread,
)
from tests.outbox.rows import QUEUE, move_time, outcomes, pending_row, queued_row, state_of
from tests.working import deliver_one

pytestmark = pytest.mark.django_db(transaction=True)


def lose_lease(row: Outbox, *, to_another_worker: bool) -> Lease | None:
    """The relay takes the row back, and another worker may get it."""
    move_time(row, "lease_expires_at", -1)
    assert repair.expire_leases() == 1
    if not to_another_worker:
        return None
    assert relay.move_due(QUEUE, limit=1) == 1
    return claim(get_queue(QUEUE), row.id)


def test_workers_at_once_with_the_same_id_one_gets_the_row():
    row = queued_row()

    leases = at_once(*[lambda: claim(get_queue(QUEUE), row.id)] * 4)

    assert leases.count(None) == 3
    row.refresh_from_db()
    assert (row.state, row.attempt_count) == ("processing", 1)
    assert outcomes(row) == []  # an attempt is noted when it ends


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
    deliver_one(QUEUE, row.id)

    row.refresh_from_db()
    assert outcomes(row) == [(1, "lease_expired")]
    expected = ("processing", 2) if to_another_worker else ("pending", 1)
    assert (row.state, row.attempt_count) == expected
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

    assert deliver(lease) == ("lease_expired", None)
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
            assert deliver_one(QUEUE, row.id) == "succeeded"
        return lambda: effects.append(message.attempt)

    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "lease_expired"
    assert (state_of(row), effects) == ("delivered", [2])
    assert outcomes(row) == [(1, "lease_expired"), (2, "succeeded")]


def test_start_is_committed_before_the_work_begins(handlers):
    seen = []

    @handler("thing_happened", queue="send_email", start=lambda m: pending_row(handler="started"))
    def work(message):
        with another_connection() as other:
            seen.append(ask(other, "SELECT count(*) FROM outbox WHERE handler = 'started'"))
            seen.append(ask(other, "SELECT state FROM outbox WHERE id = %s", message.id))

    deliver_one(QUEUE, queued_row().id)

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

    deliver_one(QUEUE, queued_row().id)

    assert seen == [["processing"]]
    assert set(Outbox.objects.values_list("state", flat=True)) == {"delivered", "pending"}


@pytest.mark.parametrize(("max_attempts", "wakes"), [(2, 1), (1, 0)])
def test_failure_wakes_the_relay_when_there_is_a_next_attempt_to_wait_for(
    handlers, max_attempts: int, wakes: int
):
    @handler("thing_happened", queue="send_email")
    def work(message):
        raise ValueError("no luck")

    row = queued_row(max_attempts=max_attempts)
    with another_connection() as other:
        ask(other, "LISTEN outbox")
        deliver_one(QUEUE, row.id)

        assert len(list(other.connection.notifies(timeout=0.2))) == wakes


def test_relay_does_not_expire_a_row_whose_outcome_is_being_written(handlers):
    expired = []

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        move_time(row, "lease_expires_at", -1)
        return lambda: expired.append(in_thread(repair.expire_leases).result(20))

    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "succeeded"
    assert (expired, state_of(row)) == ([0], "delivered")
