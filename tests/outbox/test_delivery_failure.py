from __future__ import annotations

import pytest
from django.db import connection

from outbox.endings import MAX_MESSAGE_LENGTH, MAX_TRACEBACK_LENGTH
from outbox.exceptions import PermanentError
from outbox.models import Attempt, Outbox
from outbox.registry import Message, handler
from tests.outbox.rows import (
    QUEUE,
    outcomes,
    pending_row,
    queued_row,
    seconds_put_off,
    state_of,
)
from tests.working import deliver_one

pytestmark = pytest.mark.django_db


def raising(error: BaseException, **steps):
    """Register the handler `work`, which raises `error`."""

    @handler("thing_happened", queue="send_email", **steps)
    def work(message):
        raise error


@pytest.mark.parametrize(("attempt", "low", "high"), [(1, 0.5, 1.5), (2, 1, 3), (3, 2, 6)])
def test_deliver_after_a_failure_waits_longer_each_time(
    handlers, attempt: int, low: float, high: float
):
    raising(ValueError("no luck"))
    row = queued_row(attempt_count=attempt - 1, max_attempts=9)

    assert deliver_one(QUEUE, row.id) == "failed"
    row.refresh_from_db()
    assert (row.state, row.finished_at, row.attempt_count) == ("pending", None, attempt)
    assert low - 0.1 < seconds_put_off(row) <= high


def test_deliver_keeps_what_went_wrong(handlers):
    raising(ValueError("no luck"))
    row = queued_row()

    deliver_one(QUEUE, row.id)

    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.error_class) == ("failed", "ValueError")
    assert attempt.error_message == "no luck"
    assert attempt.traceback.startswith("Traceback (most recent call last):")
    assert attempt.traceback.endswith("ValueError: no luck\n")
    assert "in work" in attempt.traceback
    assert attempt.ended_at >= attempt.started_at


def test_deliver_with_a_permanent_error_gives_up_at_once(handlers):
    dead: list[Message] = []
    raising(PermanentError("no such account"), on_dead=dead.append)
    row = queued_row(max_attempts=3)

    assert deliver_one(QUEUE, row.id) == "failed"
    row.refresh_from_db()
    assert (row.state, row.dead_reason, row.attempt_count) == ("dead", "permanent", 1)
    assert row.finished_at is not None
    assert [message.id for message in dead] == [row.id]


def test_deliver_of_the_last_attempt_makes_a_dead_letter(handlers):
    dead: list[Message] = []
    raising(ValueError("again"), on_dead=dead.append)
    row = queued_row(attempt_count=1, max_attempts=2)

    deliver_one(QUEUE, row.id)

    row.refresh_from_db()
    assert (row.state, row.dead_reason, row.attempt_count) == ("dead", "exhausted", 2)
    assert outcomes(row) == [(2, "failed")]
    assert [message.attempt for message in dead] == [2]


def test_deliver_does_not_call_on_dead_while_attempts_are_left(handlers):
    dead: list[Message] = []
    raising(ValueError(), on_dead=dead.append)

    deliver_one(QUEUE, queued_row(max_attempts=2).id)

    assert dead == []


def test_deliver_runs_on_dead_in_the_transaction_of_the_dead_letter(handlers):
    seen = []

    def on_dead(message):
        seen.append((connection.in_atomic_block, Outbox.objects.get(pk=message.id).state))
        pending_row(handler="told")

    raising(PermanentError(), on_dead=on_dead)

    deliver_one(QUEUE, queued_row().id)

    assert seen == [(True, "dead")]
    assert Outbox.objects.filter(handler="told").count() == 1


def test_deliver_with_a_broken_on_dead_still_makes_the_dead_letter(handlers):
    def on_dead(message):
        pending_row(handler="told")
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM outbox")

    raising(PermanentError(), on_dead=on_dead)
    row = queued_row()

    deliver_one(QUEUE, row.id)

    assert (state_of(row), outcomes(row)) == ("dead", [(1, "failed")])
    assert not Outbox.objects.filter(handler="told").exists()


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("can't say")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a\x00b"), "a\ufffdb"),
        (ValueError("name \udcff.pdf"), "name ?.pdf"),
        (Unprintable(), "<exception str() failed>"),
    ],
)
def test_deliver_records_errors_that_postgresql_cannot_hold(
    handlers, error: Exception, message: str
):
    raising(error)
    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "failed"
    assert (state_of(row), outcomes(row)) == ("pending", [(1, "failed")])
    assert Attempt.objects.get().error_message == message


def test_deliver_cuts_off_what_is_too_long(handlers):
    raising(ValueError("x" * 100_000))
    row = queued_row()

    deliver_one(QUEUE, row.id)

    attempt = Attempt.objects.get()
    assert attempt.error_message == "x" * MAX_MESSAGE_LENGTH
    assert len(attempt.traceback) == MAX_TRACEBACK_LENGTH


def test_deliver_records_an_error_class_with_a_very_long_name(handlers):
    raising(type("E" * 300, (Exception,), {})())
    row = queued_row()

    assert deliver_one(QUEUE, row.id) == "failed"
    assert outcomes(row) == [(1, "failed")]
