from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.db import OperationalError

from outbox import delivery, flow
from outbox.delivery import deliver
from outbox.exceptions import PermanentError
from outbox.models import Attempt, Outbox, Outcome, StaffAction
from outbox.queues import get_queue
from outbox.registry import Message, handler
from tests.outbox.rows import (
    QUEUE,
    control_of,
    hold_back,
    lease_of,
    leased_row,
    outcomes,
    queued_row,
    state_of,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def work(handlers) -> None:
    """A handler that does nothing."""

    @handler("thing_happened", queue="send_email")
    def work(message): ...


def asked(*rows: Outbox) -> Callable[[], int | None]:
    """Give the ids of the rows, one at a time, and then none, as the window would."""
    ids = iter([row.id for row in rows])
    return lambda: next(ids, None)


def test_deliver_claims_the_next_row_in_the_statement_that_ends_the_attempt(
    work, django_assert_num_queries
):
    (row, lease), following = leased_row(), queued_row(payload={"a": 1})

    with django_assert_num_queries(1):
        outcome, next_lease = deliver(lease, asked(following))

    assert (outcome, state_of(row), outcomes(row)) == (
        Outcome.SUCCEEDED,
        "delivered",
        [(1, "succeeded")],
    )
    assert next_lease is not None
    following.refresh_from_db()
    assert (following.state, following.attempt_count) == ("processing", 1)
    assert following.lease_token == next_lease.token
    assert next_lease.message.payload == {"a": 1}


def test_deliver_with_nothing_to_claim_returns_no_lease(work):
    row, lease = leased_row()

    assert deliver(lease, asked()) == (Outcome.SUCCEEDED, None)
    assert state_of(row) == "delivered"


def test_deliver_with_a_next_row_that_is_not_to_be_had_ends_its_own_all_the_same(work):
    (row, lease), (other, _) = leased_row(), leased_row()

    assert deliver(lease, asked(other)) == (Outcome.SUCCEEDED, None)
    assert (state_of(row), state_of(other)) == ("delivered", "processing")
    other.refresh_from_db()
    assert other.attempt_count == 1


def test_deliver_leases_go_from_row_to_row(work):
    rows = [queued_row() for _ in range(3)]
    next_id = asked(*rows[1:])

    lease = lease_of(rows[0])
    while lease is not None:
        _, lease = deliver(lease, next_id)

    assert [outcomes(row) for row in rows] == [[(1, "succeeded")]] * 3


@pytest.mark.parametrize("error", [ValueError(), PermanentError()], ids=["failed", "permanent"])
def test_deliver_claims_the_next_row_after_a_failure_too(handlers, error: Exception):
    @handler("thing_happened", queue="send_email")
    def work(message):
        raise error

    (_, lease), following = leased_row(), queued_row()

    outcome, next_lease = deliver(lease, asked(following))

    assert outcome == Outcome.FAILED
    assert next_lease is not None
    assert next_lease.message.id == following.id


def test_deliver_with_effects_claims_the_next_row_with_them(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        return lambda: None

    (_, lease), following = leased_row(), queued_row()

    _, next_lease = deliver(lease, asked(following))

    assert next_lease is not None
    assert state_of(following) == "processing"


@pytest.mark.parametrize("at_commit", [False, True])
def test_deliver_with_a_finish_that_fails_claims_the_same_next_row_with_the_failure(
    handlers, at_commit: bool
):
    def finish():
        if not at_commit:
            raise ValueError("on the way out")
        # A deferred constraint is checked only by the COMMIT itself.
        StaffAction.objects.create(
            outbox_id=row.id, action="retry", user_id=uuid.uuid4(), reason=""
        )

    @handler("thing_happened", queue="send_email")
    def work(message):
        return finish

    (row, lease), following, last = leased_row(), queued_row(), queued_row()

    outcome, next_lease = deliver(lease, asked(following, last))

    assert (outcome, state_of(row), outcomes(row)) == ("failed", "pending", [(1, "failed")])
    assert next_lease is not None
    assert next_lease.message.id == following.id
    following.refresh_from_db()
    assert (following.attempt_count, following.lease_token) == (1, next_lease.token)
    assert state_of(last) == "queued"


@pytest.mark.parametrize("has_effects", [False, True])
def test_deliver_without_its_lease_changes_nothing_and_claims_nothing(handlers, has_effects: bool):
    @handler("thing_happened", queue="send_email")
    def work(message: Message):
        Outbox.objects.filter(pk=message.id).update(lease_token=uuid.uuid4())
        return (lambda: None) if has_effects else None

    (row, lease), following = leased_row(), queued_row()

    assert deliver(lease, asked(following)) == (Outcome.LEASE_EXPIRED, None)
    assert (state_of(row), outcomes(row)) == ("processing", [])
    following.refresh_from_db()
    assert (following.state, following.attempt_count) == ("queued", 0)


def test_deliver_on_a_queue_paused_meanwhile_ends_its_row_and_claims_no_other(handlers):
    @handler("thing_happened", queue="send_email")
    def work(message):
        flow.pause(queue=QUEUE, user_id=None, reason="maintenance")

    (row, lease), following = leased_row(), queued_row()

    assert deliver(lease, asked(following)) == (Outcome.SUCCEEDED, None)
    following.refresh_from_db()
    assert (state_of(row), following.state, following.attempt_count) == ("delivered", "queued", 0)


def test_deliver_tells_the_next_lease_that_the_breaker_counts(work):
    (_, lease), following = leased_row(), queued_row()
    hold_back(failures=2)

    _, next_lease = deliver(lease, asked(following))

    assert next_lease is not None
    assert (next_lease.is_suspect, next_lease.is_probe) == (True, False)
    deliver(next_lease)
    assert control_of().failures == 0


def test_deliver_records_again_when_the_database_was_away(work, monkeypatch):
    monkeypatch.setattr(delivery, "RECORD_RETRY_SECONDS", 0)
    real, calls = delivery._end, []

    def away_once(*args):
        calls.append(args)
        if len(calls) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return real(*args)

    monkeypatch.setattr(delivery, "_end", away_once)
    (row, lease), following = leased_row(), queued_row()

    assert deliver(lease, asked(following)) == (Outcome.SUCCEEDED, None)
    assert (state_of(row), outcomes(row)) == ("delivered", [(1, "succeeded")])
    assert state_of(following) == "queued"


def test_deliver_whose_commit_was_cut_off_sees_that_it_took_place(work, monkeypatch):
    monkeypatch.setattr(delivery, "RECORD_RETRY_SECONDS", 0)
    real, calls = delivery._end, []

    def committed_but_no_answer(*args):
        calls.append(args)
        result = real(*args)
        if len(calls) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return result

    monkeypatch.setattr(delivery, "_end", committed_but_no_answer)
    row, lease = leased_row()

    assert deliver(lease) == (Outcome.SUCCEEDED, None)
    assert (state_of(row), outcomes(row)) == ("delivered", [(1, "succeeded")])


def test_deliver_gives_up_when_the_database_is_away_for_longer_than_the_lease(work, monkeypatch):
    def away(*args):
        raise OperationalError("connection refused")

    monkeypatch.setattr(delivery, "LEASE_GRACE_SECONDS", -1)
    monkeypatch.setattr(delivery, "_end", away)
    _, lease = leased_row()

    with pytest.raises(OperationalError):
        deliver(lease)


def test_attempt_says_how_it_went_and_by_whom(work):
    row, lease = leased_row()
    row.refresh_from_db()

    deliver(lease)

    attempt = Attempt.objects.get()
    assert (attempt.queue, attempt.worker, attempt.started_at) == (
        get_queue(QUEUE).name,
        row.worker,
        row.started_at,
    )
