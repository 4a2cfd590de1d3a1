from __future__ import annotations

import pytest

from outbox import flow
from outbox.delivery import Lease, claim, deliver
from outbox.exceptions import AttemptGivenBack, AttemptTimedOut, PermanentError, Unavailable
from outbox.flow import BREAKER_FAILURES
from outbox.models import Outbox, Outcome
from outbox.queues import get_queue
from outbox.registry import handler
from tests.factories import AttemptFactory
from tests.outbox.rows import (
    QUEUE,
    control_of,
    hold_back,
    lease_of,
    leased_row,
    open_breaker,
    outcomes,
    queued_row,
    seconds_put_off,
    seconds_until,
    state_of,
)

pytestmark = pytest.mark.django_db
# An attempt that was cut off closes its connections, and with them the transaction of a test.
cut_off = pytest.mark.django_db(transaction=True)


def raising(error: BaseException | None) -> None:
    """Register the handler `work`, which raises `error`, if it is one."""

    @handler("thing_happened", queue="send_email")
    def work(message):
        if error is not None:
            raise error


def probe_row(**columns: object) -> Outbox:
    """A queued row that may be claimed although the breaker is open."""
    row = queued_row(**columns)
    open_breaker(probe_in=10, probe_row_id=row.id)
    return row


def probe_lease(**columns: object) -> tuple[Outbox, Lease]:
    row = probe_row(**columns)
    return row, lease_of(row)


def test_claim_on_a_paused_queue_sends_the_row_back_without_an_attempt(staff):
    row = queued_row()
    flow.pause(queue=QUEUE, user_id=staff.pk, reason="maintenance")

    assert claim(get_queue(QUEUE), row.id) is None
    row.refresh_from_db()
    assert (row.state, row.queued_at, row.attempt_count) == ("pending", None, 0)
    assert outcomes(row) == []


def test_claim_on_an_open_breaker_sends_the_row_back_without_an_attempt():
    row = queued_row()
    open_breaker(probe_row_id=row.id + 1)

    assert claim(get_queue(QUEUE), row.id) is None
    row.refresh_from_db()
    assert (row.state, row.queued_at, row.attempt_count) == ("pending", None, 0)


def test_claim_on_another_queue_is_not_refused():
    row = queued_row()
    flow.pause(queue="create_payment", user_id=None, reason="maintenance")
    open_breaker(queue="verify_document")

    assert claim(get_queue(QUEUE), row.id) is not None


def test_claim_after_a_resume_is_given():
    row = queued_row()
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")
    flow.resume(queue=QUEUE, user_id=None)

    assert claim(get_queue(QUEUE), row.id) is not None


def test_claim_of_the_probe_is_given_although_the_breaker_is_open():
    lease = lease_of(probe_row())

    assert (lease.is_probe, lease.is_suspect) == (True, True)


def test_claim_of_the_probe_of_a_paused_queue_is_refused():
    row = probe_row()
    flow.pause(queue=QUEUE, user_id=None, reason="maintenance")

    assert claim(get_queue(QUEUE), row.id) is None
    row.refresh_from_db()
    assert (row.state, row.attempt_count) == ("pending", 0)


@pytest.mark.parametrize("failures", [0, 1])
def test_claim_tells_whether_the_breaker_has_counted_failures(failures: int):
    hold_back(failures=failures)

    lease = leased_row()[1]

    assert (lease.is_probe, lease.is_suspect) == (False, bool(failures))


def test_deliver_opens_the_breaker_at_the_fifth_unavailable_in_a_row(handlers):
    raising(Unavailable("The provider refuses connections."))
    leases = [leased_row()[1] for _ in range(BREAKER_FAILURES)]

    for lease in leases[:-1]:
        deliver(lease)
    closed = control_of().opened_at
    outcome, _ = deliver(leases[-1])

    control = control_of()
    assert (closed, outcome) == (None, Outcome.FAILED)
    assert (control.failures, control.cause) == (5, "The provider refuses connections.")
    assert control.opened_at is not None


def test_deliver_of_an_unavailable_uses_up_an_attempt_like_any_error(handlers):
    raising(Unavailable("away"))
    row, lease = leased_row(max_attempts=1)

    deliver(lease)

    row.refresh_from_db()
    assert (row.state, row.dead_reason, row.max_attempts) == ("dead", "exhausted", 1)
    assert control_of().failures == 1


@pytest.mark.parametrize("error", [None, ValueError("a bug"), PermanentError("no such account")])
def test_deliver_forgets_failures_when_an_attempt_ends_otherwise(handlers, error):
    raising(error)
    hold_back(failures=BREAKER_FAILURES - 1, cause="away")

    deliver(leased_row()[1])

    control = control_of()
    assert (control.failures, control.cause, control.opened_at) == (0, "", None)


@cut_off
def test_deliver_does_not_take_a_timeout_for_unavailable(handlers):
    raising(AttemptTimedOut("too long"))
    hold_back(failures=BREAKER_FAILURES - 1)

    outcome, _ = deliver(leased_row()[1])

    assert (outcome, control_of().failures) == (Outcome.TIMED_OUT, 0)


def test_deliver_of_a_healthy_queue_writes_nothing_about_its_breaker(
    handlers, django_assert_num_queries
):
    raising(None)
    _, lease = leased_row()

    with django_assert_num_queries(1):
        deliver(lease)


def test_probe_that_succeeds_closes_the_breaker(handlers):
    raising(None)
    row, lease = probe_lease()

    deliver(lease)

    control = control_of()
    assert (state_of(row), control.opened_at, control.failures) == ("delivered", None, 0)
    assert (control.probe_at, control.probe_row_id, control.failed_probes) == (None, None, 0)


@pytest.mark.parametrize("error", [ValueError("a bug"), PermanentError("no such account")])
def test_probe_that_fails_otherwise_closes_the_breaker(handlers, error: Exception):
    raising(error)

    deliver(probe_lease()[1])

    assert control_of().opened_at is None


@cut_off
def test_probe_that_times_out_closes_the_breaker(handlers):
    raising(AttemptTimedOut("too long"))

    deliver(probe_lease()[1])

    assert control_of().opened_at is None


def test_probe_that_finds_the_provider_unavailable_costs_its_row_nothing(handlers):
    raising(Unavailable("away"))
    row, lease = probe_lease(attempt_count=2, max_attempts=3)
    for number in (1, 2):
        AttemptFactory.create(outbox=row, number=number)

    outcome, _ = deliver(lease)

    row.refresh_from_db()
    assert (outcome, row.state, row.dead_reason) == (Outcome.FAILED, "pending", "")
    assert (row.attempt_count, row.max_attempts) == (3, 4)
    assert outcomes(row) == [(1, "failed"), (2, "failed"), (3, "failed")]
    assert 0.4 < seconds_put_off(row) <= 1.5 * get_queue(QUEUE).retry.backoff_seconds


def test_probe_that_finds_the_provider_unavailable_doubles_the_wait(handlers):
    raising(Unavailable("still away"))

    deliver(probe_lease()[1])

    control = control_of()
    assert (control.failed_probes, control.probe_row_id, control.cause) == (1, None, "still away")
    assert control.opened_at is not None
    assert 2 < seconds_until("outbox_queue", "name", QUEUE, "probe_at") <= 4


def test_probe_waits_for_as_long_as_the_provider_asked(handlers):
    raising(Unavailable("busy", retry_after_seconds=300))
    row, lease = probe_lease()

    deliver(lease)

    assert 200 < seconds_until("outbox_queue", "name", QUEUE, "probe_at") <= 300
    assert 299 < seconds_put_off(row) <= 300


def test_deliver_respects_what_the_provider_asked_for(handlers):
    raising(Unavailable("busy", retry_after_seconds=7200))
    row, lease = leased_row(max_attempts=3)

    deliver(lease)

    assert 3599 < seconds_put_off(row) <= 3600


@cut_off
def test_deliver_that_is_given_back_returns_the_attempt_and_is_due_at_once(handlers):
    raising(AttemptGivenBack("The cluster was told to stop."))
    row, lease = leased_row(attempt_count=2, max_attempts=3)

    outcome, next_lease = deliver(lease, lambda: pytest.fail("was asked for another row"))

    row.refresh_from_db()
    assert (outcome, next_lease, row.state) == (Outcome.GIVEN_BACK, None, "pending")
    assert (row.attempt_count, row.max_attempts, outcomes(row)) == (3, 4, [(3, "given_back")])
    assert list(Outbox.objects.due()) == [row]


@cut_off
def test_probe_that_is_given_back_leaves_the_breaker_as_it_is(handlers):
    raising(AttemptGivenBack("The cluster was told to stop."))
    row, lease = probe_lease()
    before = control_of()

    deliver(lease)

    after = control_of()
    assert (after.opened_at, after.failures) == (before.opened_at, before.failures)
    assert (after.failed_probes, after.probe_at) == (0, before.probe_at)
    assert state_of(row) == "pending"
