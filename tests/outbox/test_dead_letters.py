from __future__ import annotations

import pytest

from outbox import dead_letters
from outbox.exceptions import NotDead
from outbox.models import Attempt, Outbox, StaffAction
from outbox.registry import Message, handler
from outbox.relay import move_due
from outbox.services import Event, publish
from tests.factories import DeadLetterFactory
from tests.outbox.rows import QUEUE, leased_row, outcomes, pending_row, queued_row, state_of
from tests.working import deliver_one

pytestmark = pytest.mark.django_db


def actions(row: Outbox) -> list[tuple[str, object, str]]:
    return list(StaffAction.objects.filter(outbox=row).values_list("action", "user_id", "reason"))


def test_retry_sends_the_row_back_with_a_fresh_budget(staff):
    row = DeadLetterFactory.create(attempt_count=3, max_attempts=3)

    dead_letters.retry(row_id=row.id, user_id=staff.pk, reason="provider is back")

    row.refresh_from_db()
    assert (row.state, row.dead_reason, row.finished_at) == ("pending", "", None)
    assert (row.attempt_count, row.max_attempts) == (3, 6)
    assert list(Outbox.objects.due()) == [row]
    assert actions(row) == [("retry", staff.pk, "provider is back")]


def test_retry_of_a_row_that_gave_up_early_gives_the_whole_budget(staff):
    row = DeadLetterFactory.create(attempt_count=1, max_attempts=3, dead_reason="permanent")

    dead_letters.retry(row_id=row.id, user_id=staff.pk, reason="account exists now")

    row.refresh_from_db()
    assert (row.attempt_count, row.max_attempts) == (1, 4)


def test_retry_of_a_queue_that_this_release_does_not_have_gives_one_attempt(staff):
    row = DeadLetterFactory.create(queue="removed", attempt_count=3)

    dead_letters.retry(row_id=row.id, user_id=staff.pk, reason="who knows")

    row.refresh_from_db()
    assert row.max_attempts == 4


def test_discard_drops_the_row_and_frees_its_dedupe_key(staff, handlers):
    @handler("thing_happened", queue="send_email")
    def work(message): ...

    row = DeadLetterFactory.create(handler="work", dedupe_key="once")

    dead_letters.discard(row_id=row.id, user_id=staff.pk, reason="test data")

    row.refresh_from_db()
    assert (row.state, row.dead_reason) == ("discarded", "")
    assert row.finished_at is not None
    assert actions(row) == [("discard", staff.pk, "test data")]
    assert publish(Event("thing_happened", dedupe_key="once")).deduplicated == 0


@pytest.mark.parametrize("first", [dead_letters.retry, dead_letters.discard])
@pytest.mark.parametrize("second", [dead_letters.retry, dead_letters.discard])
def test_dead_letter_can_be_dealt_with_only_once(staff, first, second):
    row = DeadLetterFactory.create()
    first(row_id=row.id, user_id=staff.pk, reason="first")
    state = state_of(row)

    with pytest.raises(NotDead):
        second(row_id=row.id, user_id=staff.pk, reason="second")

    assert state_of(row) == state
    assert [reason for _, _, reason in actions(row)] == ["first"]


@pytest.mark.parametrize("action", [dead_letters.retry, dead_letters.discard])
def test_dead_letter_actions_refuse_rows_that_are_not_dead(staff, action):
    rows = [pending_row(), queued_row(), leased_row()[0], pending_row(state="delivered")]
    states = [state_of(row) for row in rows]

    for row_id in (*(row.id for row in rows), 999_999_999):
        with pytest.raises(NotDead):
            action(row_id=row_id, user_id=staff.pk, reason="by mistake")

    assert [state_of(row) for row in rows] == states
    assert not StaffAction.objects.exists()


def test_row_fails_until_dead_is_retried_by_staff_and_delivered(staff, handlers):
    died = []
    keys = set()

    @handler("thing_happened", queue="send_email", on_dead=lambda m: died.append(m.attempt))
    def work(message: Message):
        keys.add(message.idempotency_key)
        if message.attempt < 4:
            raise ConnectionError(f"refused, attempt {message.attempt}")

    def next_attempt():
        Outbox.objects.filter(state="pending").update(available_at="2000-01-01T00:00:00Z")
        assert move_due(QUEUE, limit=10) == 1
        return deliver_one(QUEUE, row.id)

    row = Outbox.objects.get(pk=publish(Event("thing_happened")).row_ids[0])
    results = [next_attempt(), next_attempt()]
    assert (state_of(row), died) == ("dead", [2])
    dead_letters.retry(row_id=row.id, user_id=staff.pk, reason="network is back")
    results += [next_attempt(), next_attempt()]

    assert results == ["failed", "failed", "failed", "succeeded"]
    assert outcomes(row) == [(1, "failed"), (2, "failed"), (3, "failed"), (4, "succeeded")]
    messages = Attempt.objects.order_by("number").values_list("error_message", flat=True)
    assert list(messages) == [*(f"refused, attempt {n}" for n in (1, 2, 3)), ""]
    row.refresh_from_db()
    assert (row.state, row.dead_reason, row.attempt_count) == ("delivered", "", 4)
    assert (died, keys) == ([2], {f"outbox-{row.id}"})
