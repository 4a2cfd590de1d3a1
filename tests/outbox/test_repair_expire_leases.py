from __future__ import annotations

import pytest
from django.db import DatabaseError, OperationalError, connection

from outbox import repair
from outbox.models import Attempt, Outbox
from outbox.registry import handler
from outbox.repair import expire_leases
from outbox.workers import worker_name
from tests.factories import AttemptFactory
from tests.outbox.rows import QUEUE, leased_row, move_time, outcomes, pending_row, state_of

pytestmark = pytest.mark.django_db


def test_expire_leases_sends_the_row_back_and_notes_the_lost_attempt():
    row, _ = leased_row()
    move_time(row, "lease_expires_at", -1)

    assert expire_leases() == 1
    row.refresh_from_db()
    assert (row.state, row.dead_reason, row.attempt_count) == ("pending", "", 1)
    assert row.finished_at is None
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.error_class) == ("lease_expired", "LeaseExpired")
    assert (attempt.queue, attempt.number, attempt.worker) == (QUEUE, 1, worker_name())
    assert attempt.ended_at >= attempt.started_at
    assert list(Outbox.objects.due()) == [row]


def test_expire_leases_leaves_a_lease_that_runs():
    row, _ = leased_row()

    assert expire_leases() == 0
    assert (state_of(row), outcomes(row)) == ("processing", [])


def test_expire_leases_with_attempts_used_up_makes_a_stalled_dead_letter(handlers):
    dead = []

    @handler("thing_happened", queue="send_email", on_dead=dead.append)
    def work(message): ...

    row, lease = leased_row(attempt_count=1, max_attempts=2, payload={"a": 1})
    move_time(row, "lease_expires_at", -1)

    assert expire_leases() == 1
    row.refresh_from_db()
    assert (row.state, row.dead_reason) == ("dead", "stalled")
    assert row.finished_at is not None
    assert outcomes(row) == [(2, "lease_expired")]
    assert dead == [lease.message]


def test_expire_leases_does_not_call_on_dead_while_attempts_are_left(handlers):
    dead = []

    @handler("thing_happened", queue="send_email", on_dead=dead.append)
    def work(message): ...

    row, _ = leased_row(max_attempts=2)
    move_time(row, "lease_expires_at", -1)

    expire_leases()

    assert dead == []


def test_expire_leases_with_a_broken_on_dead_still_makes_the_dead_letters(handlers):
    def broken(message):
        pending_row(handler="left_behind")
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM outbox")

    @handler("thing_happened", queue="send_email", on_dead=broken)
    def work(message): ...

    rows = [leased_row(max_attempts=1)[0] for _ in range(2)]
    for row in rows:
        move_time(row, "lease_expires_at", -1)

    assert expire_leases() == 2
    assert [state_of(row) for row in rows] == ["dead", "dead"]
    assert not Outbox.objects.filter(handler="left_behind").exists()


def test_expire_leases_of_an_unknown_handler_is_a_dead_letter_too(handlers):
    row, _ = leased_row(max_attempts=1)
    move_time(row, "lease_expires_at", -1)

    expire_leases()

    assert state_of(row) == "dead"


@pytest.mark.django_db(transaction=True)
def test_expire_leases_with_the_database_gone_in_on_dead_takes_nothing_back(handlers):
    def cut_off(message):
        raise OperationalError("server closed the connection unexpectedly")

    @handler("thing_happened", queue="send_email", on_dead=cut_off)
    def work(message): ...

    row, _ = leased_row(max_attempts=1)
    move_time(row, "lease_expires_at", -1)

    with pytest.raises(DatabaseError):
        expire_leases()
    assert (state_of(row), outcomes(row)) == ("processing", [])


def test_expire_leases_takes_a_bounded_number_oldest_first(monkeypatch):
    monkeypatch.setattr(repair, "EXPIRE_BATCH", 2)
    rows = [leased_row()[0] for _ in range(3)]
    for row, seconds in zip(rows, (-10, -30, -20), strict=True):
        move_time(row, "lease_expires_at", seconds)

    assert expire_leases() == 2
    assert [state_of(row) for row in rows] == ["processing", "pending", "pending"]


def test_expire_leases_keeps_the_history_of_earlier_attempts():
    row, _ = leased_row(attempt_count=1)
    AttemptFactory.create(outbox=row)
    move_time(row, "lease_expires_at", -1)

    expire_leases()

    assert outcomes(row) == [(1, "failed"), (2, "lease_expired")]
