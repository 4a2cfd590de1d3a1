from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from outbox.models import Outbox
from tests.outbox.rows import leased_row, move_time, pending_row, queued_row

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"state": "failed"}, "outbox_state_known"),
        ({"state": "processing"}, "outbox_processing_is_leased"),
        ({"state": "dead"}, "outbox_dead_has_reason"),
        ({"state": "dead", "dead_reason": "bored"}, "outbox_dead_has_reason"),
        ({"state": "pending", "dead_reason": "permanent"}, "outbox_dead_has_reason"),
    ],
)
def test_outbox_refuses_a_row_that_cannot_be(columns: dict[str, str], constraint: str):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        pending_row(**columns)


def test_outbox_due_is_pending_and_its_time_has_come():
    due = pending_row()
    move_time(pending_row(), "available_at", 60)
    queued_row()

    assert list(Outbox.objects.due()) == [due]


def test_outbox_waiting_includes_what_was_handed_to_redis():
    rows = [pending_row(), queued_row()]
    move_time(pending_row(), "available_at", 60)
    leased_row()

    assert list(Outbox.objects.waiting().order_by("id")) == rows


def test_outbox_expired_is_leased_and_past_its_time():
    row, _ = leased_row()
    leased_row()
    move_time(row, "lease_expires_at", -1)

    assert list(Outbox.objects.expired()) == [row]
