from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from outbox.models import Outbox
from tests.factories import AttemptFactory, DeadLetterFactory
from tests.outbox.rows import leased_row, move_time, pending_row, queued_row

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"state": "failed"}, "outbox_state_known"),
        ({"priority": 4}, "outbox_priority_known"),
        ({"priority": -1}, "outbox_priority_known"),
        ({"state": "processing"}, "outbox_processing_is_leased"),
        ({"state": "dead"}, "outbox_dead_has_reason"),
        ({"state": "dead", "dead_reason": "bored"}, "outbox_dead_has_reason"),
        ({"state": "pending", "dead_reason": "permanent"}, "outbox_dead_has_reason"),
    ],
)
def test_outbox_refuses_a_row_that_cannot_be(columns: dict[str, object], constraint: str):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        pending_row(**columns)


def test_attempt_of_a_row_has_a_number_of_its_own():
    attempt = AttemptFactory.create()

    with pytest.raises(IntegrityError, match="outbox_attempt_number"), transaction.atomic():
        AttemptFactory.create(outbox=attempt.outbox)


def test_outbox_due_is_pending_and_its_time_has_come():
    due = pending_row()
    move_time(pending_row(), "available_at", 60)
    queued_row()

    assert list(Outbox.objects.due()) == [due]


def test_outbox_unfinished_is_what_somebody_still_has_to_work_on():
    rows = [pending_row(), queued_row(), leased_row()[0]]
    dead = DeadLetterFactory.create()
    for state in ("delivered", "discarded"):
        pending_row(state=state)

    assert list(Outbox.objects.unfinished().order_by("id")) == rows
    assert list(Outbox.objects.dead()) == [dead]


def test_attempt_seconds_is_how_long_it_took():
    row = pending_row()

    attempt = AttemptFactory.create(outbox=row, started_at=row.created_at, ended_at=row.created_at)

    assert attempt.seconds == 0
