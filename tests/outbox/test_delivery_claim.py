from __future__ import annotations

import pytest

from outbox.delivery import claim
from outbox.models import Attempt, Outbox
from outbox.queues import get_queue
from outbox.registry import handler
from outbox.workers import worker_name
from tests.outbox.rows import QUEUE, leased_row, outcomes, pending_row, queued_row, state_of
from tests.working import deliver_one

pytestmark = pytest.mark.django_db


def test_claim_leases_the_row_for_its_next_attempt():
    row = queued_row(attempt_count=1, payload={"a": 1}, request_id="request-1")

    lease = claim(get_queue(QUEUE), row.id)

    assert lease is not None
    row.refresh_from_db()
    assert (row.state, row.attempt_count, row.worker) == ("processing", 2, worker_name())
    assert row.lease_token == lease.token
    assert outcomes(row) == []
    message = lease.message
    assert (message.id, message.payload, message.attempt) == (row.id, {"a": 1}, 2)
    assert (message.event_type, message.request_id) == ("thing_happened", "request-1")


def test_claim_lease_lasts_for_the_attempt_and_its_record():
    row = queued_row()

    claim(get_queue(QUEUE), row.id)

    row.refresh_from_db()
    lasts = (row.lease_expires_at - row.started_at).total_seconds()
    assert round(lasts, 1) == get_queue(QUEUE).lease_seconds


def test_claim_of_a_leased_row_fails_and_counts_nothing():
    row, lease = leased_row()

    assert claim(get_queue(QUEUE), row.id) is None
    row.refresh_from_db()
    assert (row.attempt_count, row.lease_token) == (1, lease.token)
    assert outcomes(row) == []


@pytest.mark.parametrize("state", ["pending", "delivered", "dead", "discarded"])
def test_claim_takes_only_queued_rows(state: str):
    row = pending_row(state=state, dead_reason="permanent" if state == "dead" else "")

    assert claim(get_queue(QUEUE), row.id) is None
    assert (state_of(row), outcomes(row)) == (state, [])


def test_claim_of_a_row_of_another_queue_fails():
    row = queued_row(queue="create_payment")

    assert claim(get_queue(QUEUE), row.id) is None
    assert state_of(row) == "queued"


def test_claim_of_a_row_that_does_not_exist_fails():
    assert claim(get_queue(QUEUE), 999_999_999) is None


def test_claim_again_gives_another_token():
    row, first = leased_row()
    Outbox.objects.filter(pk=row.pk).update(state="queued")

    second = claim(get_queue(QUEUE), row.id)

    assert second is not None
    assert second.token != first.token
    assert second.message.idempotency_key == first.message.idempotency_key


def test_deliver_of_a_double_id_runs_the_handler_once(handlers):
    seen = []

    @handler("thing_happened", queue="send_email")
    def work(message):
        seen.append(message.id)

    row = queued_row()

    assert [deliver_one(QUEUE, row.id), deliver_one(QUEUE, row.id)] == ["succeeded", None]
    assert seen == [row.id]


def test_deliver_to_an_unknown_handler_is_a_dead_letter(handlers):
    row = queued_row(handler="removed_long_ago")

    assert deliver_one(QUEUE, row.id) == "failed"
    row.refresh_from_db()
    assert (row.state, row.dead_reason, row.attempt_count) == ("dead", "unknown_event", 1)
    assert Attempt.objects.get().error_message == "removed_long_ago"
