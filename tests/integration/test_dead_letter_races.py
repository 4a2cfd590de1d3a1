from __future__ import annotations

import pytest

from outbox import dead_letters
from outbox.exceptions import NotDead
from outbox.models import Outbox, StaffAction
from tests.factories import DeadLetterFactory, StaffFactory
from tests.integration.concurrently import another_connection, ask, at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("first", [dead_letters.retry, dead_letters.discard])
@pytest.mark.parametrize("second", [dead_letters.retry, dead_letters.discard])
def test_two_people_at_once_one_of_them_wins(first, second):
    row = DeadLetterFactory.create()
    people = [StaffFactory.create(), StaffFactory.create()]

    results = at_once(
        lambda: first(row_id=row.id, user_id=people[0].pk, reason="first"),
        lambda: second(row_id=row.id, user_id=people[1].pk, reason="second"),
    )

    assert [type(result) for result in results].count(NotDead) == 1
    winner = 1 if isinstance(results[0], NotDead) else 0
    action = StaffAction.objects.get()
    assert (action.user_id, action.reason) == (people[winner].pk, ("first", "second")[winner])
    expected = {"retry": "pending", "discard": "discarded"}[action.action]
    assert Outbox.objects.get().state == expected


def test_retry_wakes_the_relay(staff):
    row = DeadLetterFactory.create()
    with another_connection() as other:
        ask(other, "LISTEN outbox")

        dead_letters.retry(row_id=row.id, user_id=staff.pk, reason="provider is back")

        arrived = list(other.connection.notifies(timeout=5, stop_after=1))
    assert len(arrived) == 1
