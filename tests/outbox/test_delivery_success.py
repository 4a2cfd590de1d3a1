from __future__ import annotations

import uuid

import pytest
from django.db import connection

from outbox.models import Attempt, Outbox, StaffAction
from outbox.registry import Message, handler
from outbox.services import Event, publish
from tests.outbox.rows import QUEUE, outcomes, pending_row, queued_row, state_of
from tests.working import deliver_one

pytestmark = pytest.mark.django_db(transaction=True)


def test_deliver_commits_the_effects_of_finish_with_the_outcome(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        return lambda: publish(Event("thing_happened", payload={"from": message.id}))

    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "succeeded"
    row.refresh_from_db()
    assert (row.state, row.dead_reason, row.attempt_count) == ("delivered", "", 1)
    assert row.finished_at is not None
    assert Outbox.objects.get(state="pending").payload == {"from": row.id}
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.error_class, attempt.traceback) == ("succeeded", "", "")
    assert attempt.ended_at >= attempt.started_at


def test_deliver_with_a_finish_that_raises_commits_nothing_of_it(handlers):
    def finish():
        publish(Event("thing_happened"))
        raise ValueError("on the way out")

    @handler("thing_happened", queue="send_email")
    def work(message):
        return finish

    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "failed"
    assert Outbox.objects.count() == 1
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "failed")])
    assert Attempt.objects.get().error_message == "on the way out"


def test_deliver_with_effects_that_the_commit_refuses_is_a_failure(handlers):
    """A deferred constraint is checked only by the COMMIT itself."""

    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        return lambda: StaffAction.objects.create(
            outbox_id=message.id, action="retry", user_id=uuid.uuid4(), reason=""
        )

    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "failed"
    assert StaffAction.objects.count() == 0
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "failed")])
    assert Attempt.objects.get().error_class == "IntegrityError"


def test_deliver_runs_start_work_and_finish_in_this_order(handlers):
    steps = []

    def start(message):
        steps.append(("start", connection.in_atomic_block))

    @handler("thing_happened", queue="send_email", start=start)
    def work(message):
        steps.append(("work", connection.in_atomic_block))
        return lambda: steps.append(("finish", connection.in_atomic_block))

    deliver_one(QUEUE, queued_row().id)

    assert steps == [("start", True), ("work", False), ("finish", True)]


def test_deliver_keeps_what_start_wrote_when_work_fails(handlers):
    def start(message):
        pending_row(handler="started")

    @handler("thing_happened", queue="send_email", start=start)
    def work(message):
        raise ValueError

    deliver_one(QUEUE, queued_row().id)

    assert Outbox.objects.filter(handler="started").count() == 1


def test_deliver_with_a_start_that_raises_does_no_work(handlers):
    worked = []

    def start(message):
        pending_row(handler="started")
        raise ValueError("can't begin")

    @handler("thing_happened", queue="send_email", start=start)
    def work(message):
        worked.append(message)

    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "failed"
    assert worked == []
    assert not Outbox.objects.filter(handler="started").exists()
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "failed")])


def test_deliver_runs_start_in_every_attempt(handlers):
    started = []

    @handler("thing_happened", queue="send_email", start=lambda m: started.append(m.attempt))
    def work(message: Message):
        if message.attempt == 1:
            raise ValueError

    row = queued_row()
    deliver_one(QUEUE, row.id)
    Outbox.objects.filter(pk=row.pk).update(state="queued")
    deliver_one(QUEUE, row.id)

    assert started == [1, 2]
    assert outcomes(row) == [(1, "failed"), (2, "succeeded")]
